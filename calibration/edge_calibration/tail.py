"""A fitted tail of good pictures' scores: what a quantile would be if the highest of them were like all others.

The conformal quantile (threshold.py) promises without assumptions, but with few pictures it is the highest score or one
near it, and a single picture can move it by half. The logarithms of good pictures' scores are close to a normal
distribution above their median (log-normal scores); its spread is read off the upper quartile, which no few pictures
move. The fit promises nothing. It stands beside the bound to show how far one picture decides, and says how unlike all
others a picture is.

    tail = fit_tail(scores)
    tail.quantile(0.01), tail.deviation(scores)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

LEAST_SCORES = 8
QUARTILE = float(ndtri(0.75))
DECIDES = 1.15  # a threshold this many times the fitted one rests on a few pictures


@dataclass(frozen=True)
class Tail:
    """The logarithm of a score is normal above this middle, with this spread."""

    middle: float
    spread: float

    def quantile(self, rate: float) -> float:
        """The score that this share of good pictures exceeds; rate: above 0, at most a half."""
        return math.exp(self.middle - self.spread * float(ndtri(rate)))

    def deviation(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """How many spreads above the middle scores (n,) are; -inf for zero."""
        with np.errstate(divide="ignore"):
            return np.asarray((np.log(scores) - self.middle) / self.spread, np.float64)


def fit_tail(scores: NDArray[np.floating]) -> Tail | None:
    """From the raw scores of good pictures (n,); None when they are too few, or do not differ."""
    told = np.log(scores[scores > 0])
    if len(told) < LEAST_SCORES:
        return None
    middle, upper = (float(quantile) for quantile in np.quantile(told, (0.5, 0.75)))
    return Tail(middle, (upper - middle) / QUARTILE) if upper > middle else None


def tail_text(scores: NDArray[np.floating], score: float, rate: float) -> str | None:
    """A threshold beside the fitted tail of the scores that it was set on, in words; None where there is no fit."""
    tail = fit_tail(scores)
    if tail is None:
        return None
    fitted = tail.quantile(rate)
    text = f"a tail fitted to their scores puts it at {fitted:.4g}, without a promise"
    if score > DECIDES * fitted:
        above = int((scores > fitted).sum())
        text += (
            f": the threshold is {score / fitted - 1:.0%} above that, and rests on {above} of {len(scores)} pictures; "
            "see in the report whether these are good parts"
        )
    return text
