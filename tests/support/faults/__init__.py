"""Faults on real parts: what `benchmarks.reliability.faults` runs in full, and the end-to-end tests in part."""
