"""Choosing frames, ranges and thresholds: what a detector needs to be calibrated."""

import edge_runtime  # noqa: F401  # before onnxruntime, whose telemetry it turns off
