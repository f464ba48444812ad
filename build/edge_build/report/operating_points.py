"""What other false-reject rates would mean for the same detector: thresholds from the same held-out scores.

For people who choose a rate. The more they look at the test pictures for it, the kinder these become.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_build.evaluation.result import Evaluation
from edge_calibration.threshold import threshold_from_good
from edge_runtime.bundle.manifest import Threshold

RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class OperatingPoint:
    """A rate that could be asked for. guaranteed: the share of good parts that is rejected on average, at most.

    false_rejects, found: how many good test pictures and defects that a line judges lie above the threshold. asked:
    it is the recipe's.
    """

    rate: float
    guaranteed: float
    threshold: float
    false_rejects: int
    found: int
    asked: bool


def operating_points(
    held_out: NDArray[np.float64], threshold: Threshold, evaluation: Evaluation | None
) -> tuple[OperatingPoint, ...]:
    """One for each of `RATES` and for the rate asked for, those that give the same threshold but once.

    held_out: raw scores of good pictures, (n,).
    """
    points: dict[float, OperatingPoint] = {}
    for rate in sorted({*RATES, threshold.false_reject_rate}):
        one = threshold_from_good(held_out, held_out, rate, threshold.method)
        asked = rate == threshold.false_reject_rate
        above = np.zeros(0, np.bool_) if evaluation is None else evaluation.judged & (evaluation.scores > one.score)
        defect = np.zeros(0, np.bool_) if evaluation is None else evaluation.defect
        point = OperatingPoint(
            rate,
            one.false_reject_rate_guaranteed,
            one.score,
            int((above & ~defect).sum()),
            int((above & defect).sum()),
            asked,
        )
        if asked or one.score not in points:
            points[one.score] = point
    return tuple(points.values())
