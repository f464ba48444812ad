"""Where OK ends: a threshold from held-out good pictures alone, and how much so few of them can promise.

The threshold is the conformal quantile: with n held-out scores it is the k-th smallest, k = ceil((n + 1)(1 - rate)),
and a further good part exceeds it with probability (n + 1 - k) / (n + 1) at most, whatever the distribution of the
scores (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005). It only asks that the held-out
pictures and the later ones come from the same production. NOK is `score > threshold`, so a tie is OK.

    threshold = threshold_from_good(scores, maxima, 0.01, "cross-fitted")
    if text := shortage(threshold): progress.say(text)
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv  # Binomial and inverse Beta; scipy.stats takes a second to import

from edge_runtime.bundle.manifest import Threshold
from edge_runtime.errors import EdgeError

CONFIDENCE = 0.95
NEAR, FAR, ENOUGH = 0.05, 10.0, 10.0  # how near to a threshold a score counts, wider until it is enough scores


def threshold_from_good(
    scores: NDArray[np.floating],
    maxima: NDArray[np.floating],
    false_reject_rate: float,
    method: Literal["cross-fitted", "held-out"],
) -> Threshold:
    """The threshold that rejects at most this share of good parts.

    scores: (pictures,), the raw scores of good pictures that the detector had not seen. maxima: (pictures,), the
    largest value of each one's map; the threshold of the maps is the same order statistic of these.
    false_reject_rate: from 0 up to, but not including, 1.
    method: `cross-fitted` when every score comes from a detector that was fitted without that picture, while the
    detector that serves has seen them all. The guarantee is exact for `held-out`; cross-fitted scores come from
    detectors that saw fewer pictures, are a little high, and so is the threshold (Barber et al., "Predictive inference
    with the jackknife+", 2021).

    With too few pictures (k > n) the threshold is the largest score, and the guaranteed rate is 1 / (n + 1), more than
    was asked for; `shortage` puts that in words.
    Raises ValueError for arguments that are not such scores, EdgeError when the threshold would be zero.
    """
    ordered, peaks = _sorted(scores, "score"), _sorted(maxima, "map maximum")
    count = ordered.size
    if count == 0 or peaks.size != count:
        raise ValueError(f"expected a score and a map maximum for every picture, got {count} and {peaks.size}")
    if not 0 <= false_reject_rate < 1:
        raise ValueError(f"a false reject rate is at least 0 and less than 1, got {false_reject_rate}")
    rank = min(math.ceil((count + 1) * (1 - _as_written(false_reject_rate))), count)
    score, peak = float(ordered[rank - 1]), float(peaks[rank - 1])
    if score <= 0 or peak <= 0:
        raise EdgeError(
            f"the threshold would be zero: {rank} of {count} held-out good pictures score 0, as copies of training "
            f"pictures do; remove duplicate pictures and run again"
        )
    low, high = _quantile_interval(ordered, 1 - false_reject_rate)
    tail = (1 - CONFIDENCE) / 2
    rate_low, rate_high = betaincinv(count + 1 - rank, rank, [tail, 1 - tail])
    return Threshold(
        score=score,
        score_low=low,
        score_high=high,
        map=peak,
        false_reject_rate=false_reject_rate,
        false_reject_rate_guaranteed=(count + 1 - rank) / (count + 1),
        false_reject_rate_low=float(rate_low),
        false_reject_rate_high=float(rate_high),
        pictures=count,
        method=method,
    )


def threshold_like(
    fp32: Threshold,
    scores: tuple[NDArray[np.floating], NDArray[np.floating]],
    maxima: tuple[NDArray[np.floating], NDArray[np.floating]],
) -> Threshold:
    """FP32's threshold on the scale of another precision: what both measured on the same pictures says how they relate.

    scores, maxima: of FP32 and of the other, (pictures,) each. A threshold of its own would be one order statistic of
    noisy scores, moved by whatever happened to a single picture; this one keeps FP32's verdicts, and with them what
    its threshold promises (docs/decisions/0042).
    """
    scale, peak_scale = scale_near(*scores, fp32.score), scale_near(*maxima, fp32.map)
    high = fp32.score_high
    return fp32.with_changes(
        score=fp32.score * scale,
        score_low=fp32.score_low * scale,
        score_high=None if high is None else high * scale,
        map=fp32.map * peak_scale,
    )


def scale_near(before: NDArray[np.floating], after: NDArray[np.floating], value: float) -> float:
    """The median of after / before, where those count most whose `before` is near a value; 1 without any."""
    some = (before > 0) & (after > 0)
    if not some.any():
        return 1.0
    distance, ratios = np.abs(before[some] / value - 1), after[some] / before[some]
    width = NEAR
    while width < FAR and np.exp(-((distance / width) ** 2) / 2).sum() < ENOUGH:
        width *= 1.5
    order = np.argsort(ratios)
    weights = np.exp(-((distance[order] / width) ** 2) / 2)
    reached = np.cumsum(weights)
    return float(ratios[order][np.searchsorted(reached, reached[-1] / 2)])


def shortage(threshold: Threshold) -> str | None:
    """What to tell the user when there were too few pictures for the rate asked for; None when there were enough."""
    if threshold.false_reject_rate_guaranteed <= threshold.false_reject_rate:
        return None
    needed = pictures_needed(threshold.false_reject_rate)
    return (
        f"{threshold.pictures} held-out good pictures are too few for a false reject rate of "
        f"{_percent(threshold.false_reject_rate)}: the threshold is the largest of their scores, and up to "
        f"{_percent(threshold.false_reject_rate_guaranteed)} of the good parts will be rejected on average; "
        + ("no number of pictures guarantees a rate of 0" if needed is None else f"{needed} held-out ones guarantee it")
    )


def pictures_needed(false_reject_rate: float) -> int | None:
    """How many held-out good pictures it takes to guarantee a rate; None for a rate of 0."""
    if false_reject_rate == 0:
        return None
    return max(1, math.ceil(1 / _as_written(false_reject_rate) - 1))


def _as_written(rate: float) -> Fraction:
    """The rate as it was written: 0.1, not the binary fraction next to it, which would move the rank by one."""
    return Fraction(str(float(rate)))


def _percent(rate: float) -> str:
    return f"{100 * rate:.2g} %"


def _sorted(values: NDArray[np.floating], what: str) -> NDArray[np.float64]:
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if ordered.ndim != 1 or not np.isfinite(ordered).all() or (ordered < 0).any():
        raise ValueError(f"a {what} is negative, NaN or infinite, or they are no list: shape {ordered.shape}")
    return ordered


def _quantile_interval(ordered: NDArray[np.float64], share: float) -> tuple[float, float | None]:
    """95 % confidence interval of the quantile, distribution free (David and Nagaraja, "Order Statistics", 7.1).

    The number of scores below the quantile is binomial, so that the low-th and the high-th smallest score enclose it.
    The low end is 0, the least score there is, and the high end None when so few scores do not bound it.
    """
    count, tail = ordered.size, (1 - CONFIDENCE) / 2
    below = bdtr(np.arange(count + 1), count, share)  # [i]: at most i scores below the quantile
    low = int(np.searchsorted(below, tail, side="right"))  # the largest rank with P(fewer than `low` below) <= tail
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1  # the smallest with P(`high` or more below) <= tail
    return (float(ordered[low - 1]) if low else 0.0), (float(ordered[high - 1]) if high <= count else None)
