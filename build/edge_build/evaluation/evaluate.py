"""Measuring a detector on pictures, decided as the daemon decides: same reader, same view, same `decide`.

judge = Judge(engine, bundle.threshold(precision), bundle.viewer())
evaluation = evaluate(judge, dataset.test, progress)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_build.data.pictures import Picture, read_mask
from edge_build.evaluation.result import Evaluation
from edge_build.progress import Progress
from edge_runtime.errors import EngineError
from edge_runtime.imaging.carry import frame_grid, map_in_frame
from edge_runtime.imaging.reader import read_picture
from edge_runtime.inspection.frame_checks import frame_fault
from edge_runtime.inspection.judge import Judge, decide
from edge_runtime.inspection.part_checks import part_fault
from edge_runtime.records import FrameFault, Outcome


def evaluate(judge: Judge, pictures: Sequence[Picture], progress: Progress, what: str = "evaluate") -> Evaluation:
    """Measure and decide every picture, one at a time, as a line would.

    The first picture is measured once before, so that no latency contains the engine's warm-up.
    Raises PictureError for a picture or mask that cannot be read, EngineError when the engine fails or measures NaN.
    """
    scores, latencies = np.zeros(len(pictures)), np.zeros(len(pictures))
    viewer, grid = judge.viewer, frame_grid(judge.viewer.view)
    maps = np.zeros((len(pictures), *grid), np.float32)
    masks: list[NDArray[np.bool_] | None] = []
    outcomes: list[Outcome] = []
    faults: list[FrameFault | None] = []
    for picture in pictures[:1]:
        judge.engine.infer(viewer.see(read_picture(picture.path)).picture[None])
    for index, picture in enumerate(progress.track(what, pictures)):
        image = read_picture(picture.path)
        started = judge.clock_ns()
        sight = viewer.see(image)
        inspection = judge.engine.infer(sight.picture[None])
        latencies[index] = (judge.clock_ns() - started) / 1e6
        decision = decide(inspection, judge.threshold, sight, image.shape[:2])
        if decision.outcome is Outcome.ERROR:
            raise EngineError(f"{judge.engine.name} on {picture.path}: {decision.detail}")
        if inspection.anomaly_map.shape != (viewer.height, viewer.width):
            raise EngineError(
                f"{judge.engine.name} gives a map {inspection.anomaly_map.shape} for a picture "
                f"{(viewer.height, viewer.width)}: build the bundle again with this version"
            )
        scores[index] = inspection.score
        maps[index] = map_in_frame(inspection.anomaly_map, sight, image.shape[:2], grid)
        faults.append(frame_fault(image, judge.limits) or part_fault(sight, judge.part_limits))
        outcomes.append(Outcome.ERROR if faults[-1] else decision.outcome)
        masks.append(read_mask(picture, *grid))
    return Evaluation(
        tuple(pictures),
        scores,
        maps,
        tuple(masks),
        latencies,
        tuple(outcomes),
        tuple(faults),
        judge.threshold,
        judge.engine.name,
    )
