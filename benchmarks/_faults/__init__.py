"""Faults on real parts: what `benchmarks/faults.py` runs in full, and the end-to-end tests in a few rounds."""
