"""Bundles side by side on the same test pictures, at equal false rejects, with paired intervals.

Thresholds are each bundle's own affair, and one that lies lower finds more and rejects more. So every bundle gets the
threshold at which it rejects the same share of the good test pictures. Intervals are paired: test pictures are drawn
again with replacement, the same ones for all bundles, good ones and defects each for themselves, and the difference to
the first bundle is measured in every draw (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).

To choose by figures and to report the same figures is to promise too much. So the test pictures are also dealt into two
halves, by their content: one chooses, the other measures what was chosen.

    comparison = compare({"screw-1": evaluation, "screw-2": other}, root, rate=0.05, seed=0)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.data.pictures import GOOD, DatasetError, Picture
from edge_build.evaluation.result import Evaluation, name_in
from edge_runtime.bundle.manifest import Record, Share

DRAWS = 2000
TAILS = (2.5, 97.5)  # percentiles
LEAST_TO_CHOOSE = 10  # defects, and good pictures: with fewer, halves say nothing


class Difference(Record):
    """To the first bundle, and the 95 % interval of it."""

    value: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


class Row(Record):
    """One bundle. At its own threshold: found, false_rejects. At equal false rejects: equal_threshold (raw score),
    equal_found, found_of_kind. auroc_difference, found_difference: None for the first bundle."""

    bundle: str
    image_auroc: Share
    pixel_ap: Share | None
    aupro: Share | None
    found: int
    false_rejects: int
    equal_threshold: float
    equal_found: int
    found_of_kind: dict[str, int]
    auroc_difference: Difference | None
    found_difference: Difference | None


class Differing(Record):
    """A picture that not all bundles judge alike, at equal false rejects: for each its score over that threshold."""

    picture: str
    label: str
    ratios: tuple[float, ...]


class Choice(Record):
    """Chosen on one half of the pictures by image AUROC, and measured on the other."""

    bundle: str
    chosen_on: int
    measured_on: int
    choosing_auroc: Share
    measured_auroc: Share
    measured_found: int
    measured_defects: int


class Comparison(Record):
    """`edge-build compare --json`. kinds: how many pictures of each kind of defect. rejected: good ones, by each."""

    dataset: str
    good: int
    defects: int
    rate: float
    rejected: int
    kinds: dict[str, int]
    rows: tuple[Row, ...]
    differing: tuple[Differing, ...]
    choice: Choice | None
    notes: tuple[str, ...] = ()


def compare(
    evaluations: Mapping[str, Evaluation], root: Path, rate: float, seed: int, notes: tuple[str, ...] = ()
) -> Comparison:
    """Bundles by their names, all on the same pictures. rate: of the good pictures, that each may reject.

    Raises DatasetError without good pictures or without defects.
    """
    first = next(iter(evaluations.values()))
    defect, good = np.flatnonzero(first.defect), np.flatnonzero(~first.defect)
    if not defect.size or not good.size:
        raise DatasetError(
            f"{root} has {good.size} good test pictures and {defect.size} of defects: to compare takes some of both"
        )
    scores = {name: evaluation.scores for name, evaluation in evaluations.items()}
    allowed = int(rate * good.size)
    thresholds = {name: _threshold(found[good], allowed) for name, found in scores.items()}
    kinds = _kinds(first.pictures)
    draws = _Draws(good, defect, seed)
    baseline = draws.measured(next(iter(scores.values())), rate)
    rows: list[Row] = []
    for name, evaluation in evaluations.items():
        metrics, above = evaluation.metrics(), scores[name] > thresholds[name]
        own, drawn = evaluation.scores > evaluation.threshold.score, draws.measured(scores[name], rate)
        is_first = not rows
        rows.append(
            Row(
                bundle=name,
                image_auroc=image_auroc(scores[name], good, defect),
                pixel_ap=metrics.pixel_ap,
                aupro=metrics.aupro,
                found=int(own[defect].sum()),
                false_rejects=int(own[good].sum()),
                equal_threshold=thresholds[name],
                equal_found=int(above[defect].sum()),
                found_of_kind={kind: int(above[places].sum()) for kind, places in kinds.items()},
                auroc_difference=None if is_first else _difference(drawn[0] - baseline[0]),
                found_difference=None if is_first else _difference(drawn[1] - baseline[1]),
            )
        )
    return Comparison(
        dataset=root.name,
        good=int(good.size),
        defects=int(defect.size),
        rate=rate,
        rejected=allowed,
        kinds={kind: len(places) for kind, places in kinds.items()},
        rows=tuple(rows),
        differing=tuple(_differing(first.pictures, scores, thresholds, root)),
        choice=_choice(first.pictures, scores, rate),
        notes=notes,
    )


def image_auroc(scores: NDArray[np.float64], good: NDArray[np.intp], defect: NDArray[np.intp]) -> float:
    """The chance that a defect scores above a good picture, a tie counting half. good, defect: places in scores."""
    return float(_wins(scores, good, defect).mean())


def halves(pictures: Sequence[Picture]) -> NDArray[np.bool_]:
    """Which pictures choose (n,), the others measure: every second of each label, in the order of their contents."""
    chooses = np.zeros(len(pictures), np.bool_)
    for label in {picture.label for picture in pictures}:
        places = [place for place, picture in enumerate(pictures) if picture.label == label]
        chooses[sorted(places, key=lambda place: pictures[place].sha256)[::2]] = True
    return chooses


class _Draws:
    """The same test pictures for all bundles, drawn again with replacement. good, defect: places among all."""

    def __init__(self, good: NDArray[np.intp], defect: NDArray[np.intp], seed: int) -> None:
        random = np.random.default_rng(seed)
        self._good, self._defect = good, defect
        self._good_drawn = random.integers(good.size, size=(DRAWS, good.size))
        self._defect_drawn = random.integers(defect.size, size=(DRAWS, defect.size))

    def measured(self, scores: NDArray[np.float64], rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Image AUROC and the share of defects found at that rate of false rejects, (DRAWS,) each."""
        wins = _wins(scores, self._good, self._defect)
        good_times = _times(self._good_drawn, self._good.size)
        defect_times = _times(self._defect_drawn, self._defect.size)
        aurocs = ((defect_times @ wins) * good_times).sum(1) / (self._good.size * self._defect.size)
        ordered = np.sort(scores[self._good][self._good_drawn], axis=1)
        thresholds = ordered[:, self._good.size - 1 - int(rate * self._good.size)]
        return aurocs, (scores[self._defect][self._defect_drawn] > thresholds[:, None]).mean(1)


def _wins(scores: NDArray[np.float64], good: NDArray[np.intp], defect: NDArray[np.intp]) -> NDArray[np.float64]:
    """(defects, good): 1 where the defect scores higher, 0.5 for a tie."""
    above = scores[defect][:, None] - scores[good]
    return np.asarray((np.sign(above) + 1) / 2, np.float64)


def _times(drawn: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """How often each of so many was drawn, (DRAWS, count)."""
    return np.stack([np.bincount(row, minlength=count) for row in drawn]).astype(np.float64)


def _threshold(good_scores: NDArray[np.float64], allowed: int) -> float:
    """The score that at most so many good pictures exceed."""
    return float(np.sort(good_scores)[len(good_scores) - 1 - allowed])


def _difference(drawn: NDArray[np.float64]) -> Difference:
    low, high = np.percentile(drawn, TAILS)
    return Difference(value=float(drawn.mean()), low=float(low), high=float(high))


def _kinds(pictures: Sequence[Picture]) -> dict[str, list[int]]:
    """Places of each kind of defect, by name."""
    found: dict[str, list[int]] = {}
    for place, picture in enumerate(pictures):
        if picture.label != GOOD:
            found.setdefault(picture.label, []).append(place)
    return dict(sorted(found.items()))


def _differing(
    pictures: Sequence[Picture], scores: Mapping[str, NDArray[np.float64]], thresholds: Mapping[str, float], root: Path
) -> list[Differing]:
    """Those that bundles are farthest apart on first."""
    ratios = np.stack([found / thresholds[name] for name, found in scores.items()], 1)  # (pictures, bundles)
    above = ratios > 1
    differ = np.flatnonzero(above.any(1) & ~above.all(1))
    apart = ratios[differ].max(1) / ratios[differ].min(1).clip(1e-9)
    return [
        Differing(picture=name_in(root, pictures[place]), label=pictures[place].label, ratios=tuple(ratios[place]))
        for place in differ[np.argsort(-apart, kind="stable")]
    ]


def _choice(pictures: Sequence[Picture], scores: Mapping[str, NDArray[np.float64]], rate: float) -> Choice | None:
    """None for one bundle, and for pictures that are too few to be halved."""
    defect = np.array([picture.label != GOOD for picture in pictures])
    if len(scores) < 2 or min(int(defect.sum()), int((~defect).sum())) < LEAST_TO_CHOOSE:
        return None
    chooses = halves(pictures)
    choosing = np.flatnonzero(chooses & ~defect), np.flatnonzero(chooses & defect)
    good, defects = np.flatnonzero(~chooses & ~defect), np.flatnonzero(~chooses & defect)
    aurocs = {name: image_auroc(found, *choosing) for name, found in scores.items()}
    best = max(aurocs, key=lambda name: aurocs[name])
    found = scores[best]
    threshold = _threshold(found[good], int(rate * good.size))
    return Choice(
        bundle=best,
        chosen_on=int(chooses.sum()),
        measured_on=int((~chooses).sum()),
        choosing_auroc=aurocs[best],
        measured_auroc=image_auroc(found, good, defects),
        measured_found=int((found[defects] > threshold).sum()),
        measured_defects=int(defects.size),
    )
