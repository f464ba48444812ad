"""From a frame to a decision, without any I/O: frame health, prepare, engine, threshold, regions.

No fault reads as OK: whatever cannot be measured is an ERROR with a code of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle.manifest import FrameLimits, Threshold
from edge_runtime.engines.protocol import Engine
from edge_runtime.errors import EngineError
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.inspection.frame_checks import FIXED_LIMITS, frame_fault
from edge_runtime.records import AnomalyMap, Decision, ErrorCode, Frame, Inspection, Outcome, Region, Timings

MAX_REGIONS = 8


@dataclass(frozen=True)
class Judge:
    """A detector ready to decide: the engine, its threshold, the size that it wants, and which frames it may judge."""

    engine: Engine
    threshold: Threshold
    height: int
    width: int
    clock_ns: Callable[[], int] = time.perf_counter_ns
    limits: FrameLimits = FIXED_LIMITS

    def __call__(self, frame: Frame) -> Decision:
        """Decide on one frame. Never raises for what a frame or an engine can do: that is an ERROR decision."""
        started = self.clock_ns()
        fault = frame_fault(frame.image, self.limits)
        if fault is not None:
            return Decision(Outcome.ERROR, fault.error, detail=fault.detail)
        picture = preprocess(frame.image, self.height, self.width)
        prepared = self.clock_ns()
        try:
            inspection = self.engine.infer(picture)
        except EngineError as error:
            return Decision(Outcome.ERROR, ErrorCode.ENGINE_FAILED, detail=str(error))
        inferred = self.clock_ns()
        decision = decide(inspection, self.threshold, frame.image.shape[0], frame.image.shape[1])
        timings = Timings(
            prepare_us=(prepared - started) // 1000,
            infer_us=(inferred - prepared) // 1000,
            decide_us=(self.clock_ns() - inferred) // 1000,
        )
        return replace(decision, timings=timings, anomaly_map=AnomalyMap(inspection.anomaly_map, self.threshold.map))


def scaled_score(raw: float, raw_threshold: float) -> float:
    """Raw score to 0..1 with the threshold at 0.5: raw / (raw + threshold). Monotonic, never saturates."""
    raw = max(raw, 0.0)
    return raw / (raw + raw_threshold)


def decide(inspection: Inspection, threshold: Threshold, frame_height: int, frame_width: int) -> Decision:
    """Compare a measurement with the threshold; NOK when the raw score is greater. Not finite is ERROR."""
    if not math.isfinite(inspection.score) or not np.isfinite(inspection.anomaly_map).all():
        return Decision(
            Outcome.ERROR, ErrorCode.SCORE_NOT_FINITE, detail="the detector returned NaN or infinity: run the self-test"
        )
    nok = inspection.score > threshold.score
    return Decision(
        outcome=Outcome.NOK if nok else Outcome.OK,
        score=scaled_score(inspection.score, threshold.score),
        raw_score=inspection.score,
        raw_threshold=threshold.score,
        regions=regions(inspection.anomaly_map, threshold.map, frame_height, frame_width) if nok else (),
    )


def regions(
    anomaly_map: NDArray[np.float32], map_threshold: float, frame_height: int, frame_width: int
) -> tuple[Region, ...]:
    """The connected areas (8-connected) of a NOK picture's map above its threshold, strongest first, eight at most.

    A NOK whose map stays below the threshold still has a place to look at: what reaches 90 % of the map's peak.
    Boxes and areas are in pixels of the frame.
    """
    level = min(map_threshold, 0.9 * float(anomaly_map.max()))
    above = (anomaly_map > level).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    map_height, map_width = anomaly_map.shape
    found = []
    for label in range(1, count):
        x, y, width, height, area = (int(v) for v in stats[label])
        inside = anomaly_map[y : y + height, x : x + width][labels[y : y + height, x : x + width] == label]
        left, top = x * frame_width // map_width, y * frame_height // map_height
        found.append(
            Region(
                x=left,
                y=top,
                width=-(-(x + width) * frame_width // map_width) - left,  # rounded up, in whole numbers
                height=-(-(y + height) * frame_height // map_height) - top,
                area=round(area * frame_width * frame_height / anomaly_map.size),
                peak=scaled_score(float(inside.max()), map_threshold),
            )
        )
    return tuple(sorted(found, key=lambda region: region.peak, reverse=True)[:MAX_REGIONS])
