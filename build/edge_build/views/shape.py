"""What the model's picture shows of a part, and its size: as many pixels as asked for, in the part's own shape."""

from __future__ import annotations

from edge_build.recipe.input_size import SIDE_MAX, SIDE_MIN, SIDE_STEP
from edge_runtime.imaging.view import Box

LEAST_MARGIN = 3.0  # pixels of the frame
LARGEST = 2.0  # model's pixels per pixel of the frame: more show nothing new


def with_margin(outline: Box, margin: float) -> Box:
    """The part's box with a margin on every side, a share of that side."""
    x, y = (max(margin * side, LEAST_MARGIN) for side in (outline.width, outline.height))
    return Box(x=outline.x - x, y=outline.y - y, width=outline.width + 2 * x, height=outline.height + 2 * y)


def size_for(width: float, height: float, pixels: int) -> tuple[int, int]:
    """Height and width of a picture that shows a box largest: sides of SIDE_STEP, at most so many pixels in all."""
    sides = range(SIDE_MIN, SIDE_MAX + 1, SIDE_STEP)
    best, most = (SIDE_MIN, SIDE_MIN), 0.0
    for high in sides:
        for wide in sides:
            scale = min(wide / width, high / height, LARGEST)
            if high * wide <= pixels and (scale, -high * wide) > (most, -best[0] * best[1]):
                best, most = (high, wide), scale
    return best


def filled(box: Box, height: int, width: int) -> Box:
    """The box grown to the shape of a picture, so that nothing is stretched; its middle stays."""
    scale = min(width / box.width, height / box.height)
    wide, high = width / scale, height / scale
    return Box(x=box.x - (wide - box.width) / 2, y=box.y - (high - box.height) / 2, width=wide, height=high)
