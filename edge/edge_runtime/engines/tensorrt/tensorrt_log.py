"""TensorRT's messages, kept instead of printed, so that an error can quote them."""

from __future__ import annotations

from typing import Any


def collector(trt: Any) -> Any:
    """A logger for TensorRT (a `trt.ILogger`) with `errors` and `warnings`: lists of one-line messages."""

    class Collector(trt.ILogger):  # type: ignore[misc]  # a class of a library without types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append(" ".join(message.split()))
            elif severity == trt.ILogger.Severity.WARNING:
                self.warnings.append(" ".join(message.split()))

    return Collector()
