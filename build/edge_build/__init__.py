"""The host: from pictures of good parts to a bundle."""

import edge_runtime  # noqa: F401  # before onnxruntime, whose telemetry it turns off
