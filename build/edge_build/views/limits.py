"""Where and how surely good parts are found: what a line may expect, and what it must not judge."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_runtime.imaging.see import Sight
from edge_runtime.imaging.view import Box, PartLimits, UsualPose

LESS_SURE = 1.5  # times as far below the worst good picture as that is below the median
SURE_ROOM = 0.05  # of the correlation, below that
PLACE_ROOM = 0.25  # of the good parts' range, on both ends
LEAST_PLACE_ROOM = 0.03  # of the part's longer side
TURN_ROOM = 5.0  # degrees, at least
ANY_ANGLE = 120.0  # degrees: parts that lie within more of a turn may lie at any angle
OUTSIDE_ROOM = 0.04  # of the part's shorter side
MOST_SECOND = 0.8  # of the part's area: where good pictures show such other things, a second part is not told from them


def limits_of_parts(sights: Sequence[Sight], outline: Box, searched: bool) -> tuple[PartLimits, UsualPose]:
    """From the good pictures, in which the part was found. searched: near its usual place alone.

    A match may be as far below the worst good one as that is below the median, half as much again, and a little.
    """
    places = [(sight, place) for sight in sights if (place := sight.placement) is not None]
    qualities = np.array([sight.quality for sight, _ in places])
    x, y = (np.array([getattr(place, name) for _, place in places]) for name in ("x", "y"))
    degrees = np.array([place.degrees for _, place in places])
    long, short = max(outline.width, outline.height), min(outline.width, outline.height)
    worst = float(qualities.min())
    second = max(sight.second for sight, _ in places)
    turn = _arc(degrees)
    limits = PartLimits(
        quality_low=max(-1.0, worst - LESS_SURE * (float(np.median(qualities)) - worst) - SURE_ROOM),
        x=_range(x, LEAST_PLACE_ROOM * long),
        y=_range(y, LEAST_PLACE_ROOM * long),
        degrees=turn,
        outside_high=max(max(sight.outside for sight, _ in places), 0.0) + OUTSIDE_ROOM * short,
        second_high=None if searched or second > MOST_SECOND else (1 + second) / 2,
    )
    straight = np.full(len(degrees), np.nan) if turn is None else (degrees - _middle(degrees) + 180) % 360 - 180
    usual = UsualPose(
        x=float(x.mean()),
        y=float(y.mean()),
        x_spread=float(x.std()),
        y_spread=float(y.std()),
        degrees=None if turn is None else _middle(degrees) + float(straight.mean()),
        degrees_spread=None if turn is None else float(straight.std()),
    )
    return limits, usual


def lost(sights: Sequence[Sight], far: float) -> list[int]:
    """Rows in which no part was found, or where it matches far worse than in the others."""
    qualities = np.array([sight.quality for sight in sights])
    return [int(row) for row in np.flatnonzero(qualities < np.median(qualities) - far)]


def _range(values: NDArray[np.float64], least: float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = max(PLACE_ROOM * (high - low), least)
    return low - room, high + room


def _middle(degrees: NDArray[np.float64]) -> float:
    radians = np.radians(degrees)
    return math.degrees(math.atan2(float(np.sin(radians).mean()), float(np.cos(radians).mean())))


def _arc(degrees: NDArray[np.float64]) -> tuple[float, float] | None:
    """From where to where angles lie, with room; None for any angle."""
    middle = _middle(degrees)
    off = (degrees - middle + 180) % 360 - 180
    low, high = float(off.min()), float(off.max())
    if high - low > ANY_ANGLE:
        return None
    room = max(PLACE_ROOM * (high - low), TURN_ROOM)
    return middle + low - room, middle + high + room
