"""Choosing frames, ranges and thresholds: what a detector needs to be calibrated."""
