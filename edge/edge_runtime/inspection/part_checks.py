"""Whether the part was found, and lies where good parts lay: otherwise the frame is not judged.

Limits come from the good pictures (the bundle's view) and may be changed in station.yaml.
"""

from __future__ import annotations

from edge_runtime.imaging.see import Sight
from edge_runtime.imaging.view import PartLimits
from edge_runtime.records import ErrorCode, FrameFault

WHAT_TO_DO = "check the part, the feed and the camera's place; limits: health.part_quality_low and part_place"


def part_fault(sight: Sight, limits: PartLimits) -> FrameFault | None:
    """Why a frame's part must not be judged, or None."""
    place = sight.placement
    if sight.quality == -1 and place is None:
        found = f"nothing stands out that could be the part: {WHAT_TO_DO}"
        return FrameFault(ErrorCode.PART_NOT_FOUND, found)
    if place is None:
        return None
    if limits.quality_low is not None and sight.quality < limits.quality_low:
        found = f"it looks like the good parts to {sight.quality:.3f} (limit {limits.quality_low:.3f}): {WHAT_TO_DO}"
        return FrameFault(ErrorCode.PART_NOT_FOUND, found)
    if limits.second_high is not None and sight.second > limits.second_high:
        found = f"something else lies in the frame, {sight.second:.0%} of the part's size: {WHAT_TO_DO}"
        return FrameFault(ErrorCode.PART_NOT_FOUND, found)
    if limits.outside_high is not None and sight.outside > limits.outside_high:
        found = f"the part reaches {sight.outside:.0f} pixels beyond the frame's edge: {WHAT_TO_DO}"
        return FrameFault(ErrorCode.PART_OUT_OF_PLACE, found)
    for name, value, ends in (("x", place.x, limits.x), ("y", place.y, limits.y)):
        if ends is not None and not ends[0] <= value <= ends[1]:
            found = f"its {name} is {value:.0f}, {ends[0]:.0f} to {ends[1]:.0f} is allowed: {WHAT_TO_DO}"
            return FrameFault(ErrorCode.PART_OUT_OF_PLACE, found)
    if limits.degrees is not None and not _between(place.degrees, *limits.degrees):
        low, high = limits.degrees
        found = f"it is turned by {place.degrees:.1f} degrees, {low:.1f} to {high:.1f} is allowed: {WHAT_TO_DO}"
        return FrameFault(ErrorCode.PART_OUT_OF_PLACE, found)
    return None


def _between(degrees: float, low: float, high: float) -> bool:
    return (degrees - low) % 360 <= (high - low) % 360
