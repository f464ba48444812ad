"""Development sets: pictures that detectors may be tuned on, made by a program (benchmarks/accuracy/development.py)."""
