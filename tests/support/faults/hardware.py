"""An engine and a camera that fail on command: the real ones, and a file that says what goes wrong from now on."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.errors import EngineError
from edge_runtime.records import FailedFrame, Frame, Inspection, NoFrame
from edge_runtime.sources.folder import FolderSource

HANG_S = 4.0


def make_it_fail(control: Path) -> None:
    """Let this process's engine and source obey the file: a word, or nothing."""
    infer, next_frame = OnnxruntimeEngine.infer, FolderSource.next_frame

    def word() -> str:
        try:
            return control.read_text()
        except OSError:
            return ""

    def failing_infer(self: OnnxruntimeEngine, picture: NDArray[np.uint8]) -> Inspection:
        fault = word()
        if fault == "engine hangs":
            control.write_text("")
            time.sleep(HANG_S)
        elif fault == "engine is slow":
            time.sleep(0.3)
        elif fault == "engine fails":
            raise EngineError("made to fail")
        found = infer(self, picture)
        if fault == "score is NaN":
            return Inspection(float("nan"), found.anomaly_map)
        if fault == "score is infinite":
            return Inspection(float("inf"), found.anomaly_map)
        if fault == "map has a NaN":
            spoilt = found.anomaly_map.copy()
            spoilt[0, 0] = np.nan
            return Inspection(found.score, spoilt)
        if fault == "engine breaks":
            raise RuntimeError("made to break")
        return found

    def failing_next_frame(self: FolderSource, within_s: float) -> Frame | FailedFrame | NoFrame | None:
        fault = word()
        if fault == "camera hangs":
            control.write_text("")
            time.sleep(HANG_S)
        elif fault == "camera is silent":
            time.sleep(min(within_s, HANG_S))
            return NoFrame()
        return next_frame(self, within_s)

    setattr(OnnxruntimeEngine, "infer", failing_infer)  # noqa: B010  # mypy takes no other method for a method
    setattr(FolderSource, "next_frame", failing_next_frame)  # noqa: B010
