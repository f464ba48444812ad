"""By how much scores are too high that come from detectors which know fewer pictures than the one that serves.

Cross-fitted scores come from detectors that lack a fold each: good pictures look a little stranger to them than to the
detector that serves, and a threshold on their scores is higher than what was asked for, so that defects pass below it.
How much that is can be measured without a further picture: detectors that lack two folds each score the same pictures
higher once more. Errors fall with the number of examples as a power of it (Hestness et al., "Deep Learning Scaling is
Predictable, Empirically", 2017), so the logarithm of the mean score is taken as linear in that of the number, and goes
on to the number that serves (docs/decisions/0050).

    factor = factor_when_serving(scores, scores_lacking_two, Counts(two=192, one=216, serving=240))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_FOLDS = 4  # with fewer, half of the pictures or more would be missing


@dataclass(frozen=True)
class Counts:
    """How many pictures detectors know: those that lack two folds, those that lack one, the one that serves. Means."""

    two: float
    one: float
    serving: float


@dataclass(frozen=True)
class Correction:
    """What held-out scores, and the maxima of their maps, are multiplied by; 1 leaves them as they are."""

    scores: float = 1.0
    maxima: float = 1.0


def factor_when_serving(lacking_one: NDArray[np.floating], lacking_two: NDArray[np.floating], counts: Counts) -> float:
    """What scores of detectors that lack one fold are multiplied by to be those of the detector that serves, at most 1.

    lacking_one, lacking_two: (n,) of the same pictures. Pictures that score zero say nothing. More pictures that made
    scores higher would be chance, and change nothing.
    """
    told = (lacking_one > 0) & (lacking_two > 0)
    if not told.any() or not counts.two < counts.one < counts.serving:
        return 1.0
    fall = float(np.log(lacking_two[told] / lacking_one[told]).mean())
    further = math.log(counts.serving / counts.one) / math.log(counts.one / counts.two)
    return math.exp(-max(fall, 0.0) * further)


def pairs_of(folds: int) -> list[tuple[int, ...]]:
    """Folds (numbers from 0) two and two, none beside its neighbour; the last three together when they are odd."""
    if folds < LEAST_FOLDS:
        return []
    half = folds // 2
    pairs: list[tuple[int, ...]] = [(number, number + half) for number in range(half)]
    return pairs if folds % 2 == 0 else [*pairs[:-1], (*pairs[-1], folds - 1)]


def mean_known(known: int, folds: Sequence[int], groups: Sequence[tuple[int, ...]]) -> float:
    """How many pictures a detector knows that scores one, when all know `known` but for the groups of folds that they
    score. folds: how many pictures each has."""
    lacking = [sum(folds[number] for number in group) for group in groups]
    return known - sum(size * size for size in lacking) / sum(lacking)
