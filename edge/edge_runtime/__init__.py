"""The device: judges frames with a bundle and publishes verdicts. Also the contract that the host conforms to."""

import os

__version__ = "0.1.0"

# From 1.29 on, onnxruntime tells its makers what it does unless this is set before its import. A factory's device must
# not (github.com/microsoft/onnxruntime/pull/27379).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
