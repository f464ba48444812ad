"""What stands in for an engine that this device does not have: the station stays, says why, and judges nothing."""

from __future__ import annotations

from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge_runtime.engines.tensorrt.errors import GpuError
from edge_runtime.records import Inspection


class UnavailableEngine:
    """Every use of it raises the error that says what is missing."""

    def __init__(self, reason: GpuError) -> None:
        self.reason = reason

    @property
    def name(self) -> str:
        """For logs."""
        return "no engine"

    def infer(self, image: NDArray[np.uint8]) -> Inspection:
        """Raises GpuError."""
        raise self.reason

    def __enter__(self) -> UnavailableEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to free."""
