"""Finding the part in a frame: what stands out, the places it may have, the one where it looks most like good parts.

finder = PartFinder(view)
found = finder.find(Pyramid(region))
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_runtime.imaging.geometry import Placement, to_placement
from edge_runtime.imaging.pose.alignment import Aligner, Fit
from edge_runtime.imaging.pose.axis import both_ways_round
from edge_runtime.imaging.pose.foreground import Thing, standing_out, things_in
from edge_runtime.imaging.pose.turn import TurnFinder
from edge_runtime.imaging.pyramid import Pyramid
from edge_runtime.imaging.view import Box, Locator, PoseName, Template

THINGS = 3  # that may be the part
LIKE = 2.5  # times the part's area or a share of it: what else is no candidate
FIRST_STEPS, COARSE_STEPS, FINE_STEPS = 1, 3, 3
REFINED = 2  # candidates, the best of the first steps
NEARLY_AS_GOOD = 0.03  # of the correlation: candidates that are told apart in detail only


@dataclass(frozen=True)
class Found:
    """A part's place in the region's pixels and how much it looks like good parts there, -1 to 1.

    second: the area of the largest other thing, as a share of the part's usual area.
    """

    placement: Placement
    quality: float
    second: float


class PartFinder:
    """For one pose, one ground and one pair of templates."""

    def __init__(self, pose: PoseName, locator: Locator, coarse: Template, fine: Template) -> None:
        turns = pose != "shift"
        self._pose, self._locator = pose, locator
        self._coarse, self._fine = Aligner(coarse, turns), Aligner(fine, turns)
        self._turn = TurnFinder(fine, _reach(locator.outline)) if pose in ("template", "ring") else None

    def find(self, frame: Pyramid) -> Found | None:
        """The best place; None when nothing stands out that could be the part."""
        places, second = self._places(frame)
        first = [self._coarse.refined(frame, place, FIRST_STEPS) for place in places]
        if not first:
            return None
        likely = sorted(first, key=_quality, reverse=True)[:REFINED]
        coarse = [self._coarse.refined(frame, fit.placement, COARSE_STEPS) for fit in likely]
        best = max(fit.quality for fit in coarse)
        close = [fit for fit in coarse if fit.quality >= best - NEARLY_AS_GOOD]
        fit = max((self._fine.refined(frame, f.placement, FINE_STEPS) for f in close), key=_quality)
        return Found(fit.placement, fit.quality, second)

    def _places(self, frame: Pyramid) -> tuple[list[Placement], float]:
        locator = self._locator
        if locator.ground == "none":
            return [Placement(*locator.usual)], 0.0
        depth = frame.depth(locator.level)
        side = 1 << depth
        expected = locator.area / side**2
        mask = standing_out(frame, depth, locator.ground)
        things = things_in(mask, THINGS + 1, expected)
        likely = [t for t in things[:THINGS] if expected / LIKE <= t.area <= LIKE * expected]
        places = [place for thing in likely for place in self._of(thing, side, frame)]
        others = [t.area / expected for t in things if not likely or t is not likely[0]]
        return places, max(others, default=0.0)

    def _of(self, thing: Thing, side: int, frame: Pyramid) -> list[Placement]:
        if self._pose == "axis":
            return [to_placement(way, side) for way in both_ways_round(thing)]
        middle = to_placement(Placement(thing.x, thing.y), side)
        if self._turn is None:
            return [middle]
        return list(self._turn.candidates(frame, middle))


def outside(placement: Placement, outline: Box, height: int, width: int) -> float:
    """How far the corners of a part's box lie beyond the edges of a picture, in pixels; negative: so far inside."""
    corners = [
        placement.point(x, y)
        for x in (outline.x, outline.x + outline.width)
        for y in (outline.y, outline.y + outline.height)
    ]
    return max(max(-x - 0.5, x - width + 0.5, -y - 0.5, y - height + 0.5) for x, y in corners)


def _reach(outline: Box) -> float:
    """The radius of a circle around the origin that the part fills well."""
    far = max(abs(outline.x), abs(outline.x + outline.width), abs(outline.y), abs(outline.y + outline.height))
    near = min(abs(outline.x), abs(outline.x + outline.width), abs(outline.y), abs(outline.y + outline.height))
    return math.sqrt(max(near, 1.0) * far)


def _quality(fit: Fit) -> float:
    return fit.quality
