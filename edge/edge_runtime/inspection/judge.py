"""From a frame to a decision, without any I/O: frame health, view, part checks, engine, threshold, regions.

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
from edge_runtime.imaging.carry import frame_grid, map_in_frame, points_in_frame
from edge_runtime.imaging.see import FrameViewer, Sight
from edge_runtime.imaging.view import UNLIMITED, PartLimits
from edge_runtime.inspection.frame_checks import FIXED_LIMITS, format_fault, measure_frame, measurement_fault
from edge_runtime.inspection.part_checks import part_fault
from edge_runtime.records import (
    AnomalyMap,
    Decision,
    ErrorCode,
    Frame,
    Inspection,
    Outcome,
    PartPlace,
    Region,
    Timings,
)

MAX_REGIONS = 8
NEAR_WHOLE = 1e-6  # pixels: edges that should be whole are, but for rounding


@dataclass(frozen=True)
class Judge:
    """A detector ready to decide: the engine, its threshold, what it sees of a frame, and which frames it may judge."""

    engine: Engine
    threshold: Threshold
    viewer: FrameViewer
    clock_ns: Callable[[], int] = time.perf_counter_ns
    limits: FrameLimits = FIXED_LIMITS
    part_limits: PartLimits = UNLIMITED

    def __call__(self, frame: Frame) -> Decision:
        """Decide on one frame. Never raises for what a frame or an engine can do: that is an ERROR decision."""
        started = self.clock_ns()
        if (fault := format_fault(frame.image)) is not None:
            return Decision(Outcome.ERROR, fault.error, detail=fault.detail)
        measurement = measure_frame(frame.image)
        if (fault := measurement_fault(measurement, self.limits)) is not None:
            return Decision(Outcome.ERROR, fault.error, detail=fault.detail, measurement=measurement)
        return replace(self._decide(frame, started), measurement=measurement)

    def _decide(self, frame: Frame, started: int) -> Decision:
        """On a frame that may be judged. started: when looking at it began."""
        sight = self.viewer.see(frame.image)
        fault, place = part_fault(sight, self.part_limits), place_of(sight)
        if fault is not None:
            return Decision(Outcome.ERROR, fault.error, detail=fault.detail, place=place)
        prepared = self.clock_ns()
        try:
            inspection = self.engine.infer(sight.picture[None])
        except EngineError as error:
            return Decision(Outcome.ERROR, ErrorCode.ENGINE_FAILED, detail=str(error))
        inferred = self.clock_ns()
        decision = decide(inspection, self.threshold, sight, frame.image.shape[:2])
        timings = Timings(
            prepare_us=(prepared - started) // 1000,
            infer_us=(inferred - prepared) // 1000,
            decide_us=(self.clock_ns() - inferred) // 1000,
        )
        in_frame = map_in_frame(inspection.anomaly_map, sight, frame.image.shape[:2], frame_grid(self.viewer.view))
        return replace(decision, timings=timings, anomaly_map=AnomalyMap(in_frame, self.threshold.map), place=place)


def place_of(sight: Sight) -> PartPlace | None:
    """Where the part was found; None for a view that does not look for it, and for a part that is not there."""
    place = sight.placement
    return None if place is None else PartPlace(place.x, place.y, place.degrees, sight.quality)


def scaled_score(raw: float, raw_threshold: float) -> float:
    """Raw score to 0..1 with the threshold at 0.5: raw / (raw + threshold). Monotonic, never saturates."""
    raw = max(raw, 0.0)
    return raw / (raw + raw_threshold)


def decide(inspection: Inspection, threshold: Threshold, sight: Sight, frame: tuple[int, ...]) -> Decision:
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
        regions=regions(inspection.anomaly_map, threshold.map, sight, frame) if nok else (),
    )


def regions(
    anomaly_map: NDArray[np.float32], map_threshold: float, sight: Sight, frame: tuple[int, ...]
) -> tuple[Region, ...]:
    """The connected areas (8-connected) of a NOK picture's map above its threshold, strongest first, eight at most.

    For a NOK whose map stays below the threshold, see `AnomalyMap.region_level`. Boxes and areas are in pixels of the
    frame, whose height and width are given.
    """
    above = (anomaly_map > AnomalyMap(anomaly_map, map_threshold).region_level).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    found = []
    for label in range(1, count):
        x, y, width, height, area = (int(v) for v in stats[label])
        mask = labels[y : y + height, x : x + width] == label
        peak = scaled_score(float(anomaly_map[y : y + height, x : x + width][mask].max()), map_threshold)
        left, top, right, bottom = _box_in_frame(sight, mask, x, y, frame)
        covered = round(area * _pixels_each(sight, x + width / 2, y + height / 2))
        found.append(Region(left, top, right - left, bottom - top, covered, peak))
    return tuple(sorted(found, key=lambda region: region.peak, reverse=True)[:MAX_REGIONS])


def _box_in_frame(
    sight: Sight, mask: NDArray[np.bool_], left: int, top: int, frame: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """The box around all pixels of a mask, which lies at left, top in the picture; cut off at the frame's edges."""
    edge = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3)), borderValue=0).astype(bool)
    rows, columns = np.nonzero(edge)
    corners = [np.stack([left + columns + dx, top + rows + dy], axis=1) for dx in (-0.5, 0.5) for dy in (-0.5, 0.5)]
    points = points_in_frame(sight, np.concatenate(corners)) + 0.5
    low, high = np.floor(points.min(0) + NEAR_WHOLE), np.ceil(points.max(0) - NEAR_WHOLE)
    size = np.array([frame[1], frame[0]])
    (x, y), (right, bottom) = np.clip(low, 0, size - 1).tolist(), np.clip(high, 1, size).tolist()
    return int(x), int(y), int(max(right, x + 1)), int(max(bottom, y + 1))


def _pixels_each(sight: Sight, x: float, y: float) -> float:
    """How many pixels of the frame a pixel of the picture covers there."""
    around = points_in_frame(sight, np.array([[x, y], [x + 1, y], [x, y + 1]]))
    across, down = around[1] - around[0], around[2] - around[0]
    return abs(float(across[0] * down[1] - across[1] * down[0]))
