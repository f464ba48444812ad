"""The geometry of the report's score histogram: rows above one another that share the axis of scores.

A bin's edge lies exactly on the threshold and a score on an edge belongs to the bin below it, so that the bars right
of the line are the NOK pictures and no others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle.manifest import Threshold

WIDTH, LEFT, RIGHT = 900.0, 130.0, 20.0  # of the drawing, in its own units
ROW, GAP, TOP, AXIS = 86.0, 18.0, 34.0, 46.0
BINS = 64
FARTHEST = 3.5  # scores beyond this many times the largest good score or threshold share the last bin


@dataclass(frozen=True)
class Series:
    """One row: what it is called, the style it is drawn in, and its raw scores (pictures,)."""

    name: str
    style: str
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Bar:
    """A bin that is not empty: its place, how many pictures it holds, and what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    tip: str


@dataclass(frozen=True)
class Row:
    """A series as bars. `base` is the y of its ground line."""

    name: str
    style: str
    pictures: int
    nok: int
    base: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Histogram:
    """Everything that the template draws, in units of the drawing."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float  # of the last row
    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    threshold: float
    interval: tuple[float, float]
    open_ended: bool  # the interval has no upper end
    overflow: int  # pictures in the last bin that lie beyond the axis


def histogram(series: Sequence[Series], threshold: Threshold) -> Histogram:
    """Lay out the rows. Series without pictures are left out."""
    shown = [one for one in series if one.scores.size]
    first, last = _ends(shown, threshold)
    step = (last - first) / BINS
    before, after = math.ceil((threshold.score - first) / step), math.ceil((last - threshold.score) / step)
    first, last = threshold.score - before * step, threshold.score + after * step
    scale = (WIDTH - LEFT - RIGHT) / (last - first)

    def x(score: float) -> float:
        return LEFT + (min(max(score, first), last) - first) * scale

    rows = []
    for number, one in enumerate(shown):
        base = TOP + number * (ROW + GAP) + ROW
        bins = np.clip(np.ceil((one.scores - threshold.score) / step).astype(int) - 1, -before, after - 1)
        numbers, counts = np.unique(bins, return_counts=True)
        bars = []
        for bin_number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            low = threshold.score + bin_number * step
            tip = f"{count} picture{'s' if count > 1 else ''}, {low:.4g} to {low + step:.4g}"
            height = ROW * count / int(counts.max())
            bars.append(Bar(x(low) + 0.5, base - height, step * scale - 1, height, tip))
        nok = int((one.scores > threshold.score).sum())
        rows.append(Row(one.name, one.style, one.scores.size, nok, base, tuple(bars)))
    bottom = TOP + max(len(rows), 1) * (ROW + GAP) - GAP
    return Histogram(
        width=WIDTH,
        height=bottom + AXIS,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=bottom,
        rows=tuple(rows),
        ticks=tuple((x(tick), f"{tick:g}") for tick in _ticks(first, last)),
        threshold=x(threshold.score),
        interval=(x(threshold.score_low), x(last if threshold.score_high is None else threshold.score_high)),
        open_ended=threshold.score_high is None,
        overflow=sum(int((one.scores > last).sum()) for one in shown),
    )


def _ends(series: Sequence[Series], threshold: Threshold) -> tuple[float, float]:
    scores = np.concatenate([one.scores for one in series] or [np.zeros(0)])
    calm = np.concatenate([one.scores for one in series if one.style != "defect"] or [np.zeros(0)])
    top = FARTHEST * max(threshold.score, float(calm.max(initial=0.0)))
    last = min(float(scores.max(initial=0.0)), top)
    first = float(scores.min(initial=threshold.score))
    last = max(last, threshold.score, threshold.score_high or 0.0)
    room = 0.04 * max(last - first, 0.1 * threshold.score)
    return max(first - room, 0.0), last + room


def _ticks(first: float, last: float) -> list[float]:
    """Round numbers, about seven."""
    rough = (last - first) / 7
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough)
    start = math.ceil(first / step)
    return [round(n * step, 10) for n in range(start, math.floor(last / step) + 1)]
