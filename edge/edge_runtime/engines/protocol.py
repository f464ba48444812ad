"""The seam between judging and computing: one Protocol, one implementation per kind of hardware."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_runtime.records import Inspection

ENGINES = Path("/var/lib/edge/engines")  # this device's compiled ones; not inside a bundle, which comes from elsewhere


class EngineKind(str, Enum):
    """What a station or `evaluate` asks for; selection.py opens it."""

    AUTO = "auto"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"  # the TensorRT that pip installs on a PC
    TENSORRT_ENTROPY = "tensorrt-entropy"  # INT8 by implicit calibration
    TENSORRT_MINMAX = "tensorrt-minmax"
    ONNXRUNTIME = "onnxruntime"
    ONNXRUNTIME_CUDA = "onnxruntime-cuda"
    ONNXRUNTIME_TENSORRT = "onnxruntime-tensorrt"


class Engine(Protocol):
    """A loaded detector. A context manager: leaving it frees the device."""

    @property
    def name(self) -> str:
        """For people and logs: the backend and where it runs, e.g. `onnxruntime (CPU)`."""

    def infer(self, image: NDArray[np.uint8]) -> Inspection:
        """Measure one prepared picture, uint8 BGR (1, height, width, 3). The caller owns what is returned.

        Raises EngineError when the backend fails.
        """

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
