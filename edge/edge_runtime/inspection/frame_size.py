"""Which sizes a frame may have: the good pictures' own, or where these had several, what lies between and a bit beyond.

Every frame is resized to the model's size, so one of another shape shows stretched parts, and one that is smaller shows
less of them. A turned frame has a side or a ratio that no good picture had.

    sizes = sizes_from_good([(1000, 400), (1012, 400)])
    problem = size_problem(height, width, limits)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_runtime.bundle.manifest import FrameLimits, SizeRange

MARGIN = 0.05  # of a side and of width / height, either way (docs/explanation/results.md, "Which frames are refused")


def sizes_from_good(sizes: Sequence[tuple[int, int]]) -> SizeRange:
    """From the smallest to the largest of all (height, width), and of their ratios, with the margin on both ends."""
    heights, widths = [height for height, _ in sizes], [width for _, width in sizes]
    ratios = [width / height for height, width in sizes]
    less, more = 1 - MARGIN, 1 + MARGIN
    return SizeRange(
        height_low=math.ceil(min(heights) * less),
        height_high=math.floor(max(heights) * more),
        width_low=math.ceil(min(widths) * less),
        width_high=math.floor(max(widths) * more),
        ratio_low=min(ratios) * less,
        ratio_high=max(ratios) * more,
    )


def size_problem(height: int, width: int, limits: FrameLimits) -> str | None:
    """What was found and what is allowed, or None for a frame that may be judged."""
    wanted = (limits.height or height, limits.width or width)
    if (height, width) != wanted:
        return f"the frame is {width} x {height} pixels, the good pictures were {wanted[1]} x {wanted[0]}"
    sizes = limits.sizes
    if sizes is None or _within(height, width, sizes):
        return None
    return (
        f"the frame is {width} x {height} pixels (width / height {width / height:.3f}), allowed are {sizes_text(sizes)}"
    )


def sizes_text(sizes: SizeRange) -> str:
    """For people, as width x height."""
    return (
        f"{sizes.width_low} to {sizes.width_high} x {sizes.height_low} to {sizes.height_high} "
        f"(width / height {sizes.ratio_low:.3f} to {sizes.ratio_high:.3f})"
    )


def _within(height: int, width: int, sizes: SizeRange) -> bool:
    return (
        sizes.height_low <= height <= sizes.height_high
        and sizes.width_low <= width <= sizes.width_high
        and sizes.ratio_low <= width / height <= sizes.ratio_high
    )
