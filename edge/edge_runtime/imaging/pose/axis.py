"""Long parts: the angle is that of the long axis, one way round or the other."""

from __future__ import annotations

from edge_runtime.imaging.geometry import Placement
from edge_runtime.imaging.pose.foreground import Thing


def both_ways_round(thing: Thing) -> tuple[Placement, ...]:
    """Places with the origin in the thing's middle, in the pixels that it was found in."""
    return (
        Placement(thing.x, thing.y, thing.cos, thing.sin),
        Placement(thing.x, thing.y, -thing.cos, -thing.sin),
    )
