"""What stands out from the ground of a frame: the things in it, each with its place, area and long axis.

How a part differs from its ground is not the same everywhere: it may be brighter or darker, of another colour than the
picture's border, or only richer in detail. Every such way is a `ground`; the good pictures decide which one finds them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.imaging.pyramid import Pyramid
from edge_runtime.imaging.view import GroundName

RIM = 0.04  # share of the picture's sides: its border
DETAIL = 5  # pixels over which detail is summed
SMALLEST = 24  # pixels of a thing


@dataclass(frozen=True)
class Thing:
    """A connected area without its holes: middle x, y, area in pixels of the picture that it was found in; its long
    axis as a unit vector, sign open; spread along and across it (standard deviations); mask: uint8 in its box."""

    x: float
    y: float
    area: float
    cos: float
    sin: float
    long: float
    short: float
    left: int
    top: int
    mask: NDArray[np.uint8]


def standing_out(frame: Pyramid, number: int, ground: GroundName) -> NDArray[np.uint8]:
    """Where a level of a frame differs from its ground: 0 or 255, (h, w)."""
    how_much = _difference(frame, number, ground)
    flag = cv2.THRESH_BINARY_INV if ground == "darker" else cv2.THRESH_BINARY
    _, mask = cv2.threshold(how_much, 0, 255, flag | cv2.THRESH_OTSU)
    return np.asarray(mask, np.uint8)


def things_in(mask: NDArray[np.uint8], most: int, expected: float | None = None) -> list[Thing]:
    """The connected areas of a mask, at most so many: the largest first, or those nearest to an expected area."""
    _, found, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    labels, areas = np.asarray(found, np.int32), stats[1:, cv2.CC_STAT_AREA]
    order = [int(n) for n in np.argsort(-areas, kind="stable")[: 4 * most] if areas[n] >= SMALLEST]
    things = [_thing(labels, n + 1, stats[n + 1].tolist()) for n in order]
    if expected is not None:
        things.sort(key=lambda thing: abs(math.log(thing.area / expected)))
    return things[:most]


def _difference(frame: Pyramid, number: int, ground: GroundName) -> NDArray[np.uint8]:
    if ground == "unlike-border":
        image = frame.level(number)
        high, wide = (max(1, round(RIM * side)) for side in image.shape[:2])
        rows = np.concatenate([image[:high], image[-high:]]).reshape(-1, 3)
        columns = np.concatenate([image[:, :wide], image[:, -wide:]], axis=1).reshape(-1, 3)
        border = np.median(np.concatenate([rows, columns]), axis=0).astype(np.uint8)
        blue, green, red = cv2.split(cv2.absdiff(image, np.array([*border.tolist(), 0.0])))
        return np.asarray(cv2.medianBlur(cv2.max(cv2.max(blue, green), red), 3), np.uint8)
    grey = frame.grey(number)
    if ground == "textured":
        edges = cv2.absdiff(cv2.dilate(grey, np.ones((3, 3), np.uint8)), cv2.erode(grey, np.ones((3, 3), np.uint8)))
        grown = cv2.dilate(edges, np.ones((DETAIL, DETAIL), np.uint8))
        return np.asarray(cv2.medianBlur(grown, DETAIL), np.uint8)
    return np.asarray(cv2.medianBlur(grey, 3), np.uint8)


def _thing(labels: NDArray[np.int32], label: int, stats: list[int]) -> Thing:
    left, top, width, height, _ = stats
    inside = (labels[top : top + height, left : left + width] == label).astype(np.uint8)
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.asarray(cv2.drawContours(inside, outlines, -1, 1, cv2.FILLED), np.uint8)
    m = cv2.moments(filled, binaryImage=True)  # sums of whole numbers
    area = m["m00"]
    x, y = m["m10"] / area, m["m01"] / area
    xx, yy = m["m20"] / area - x * x, m["m02"] / area - y * y
    xy = m["m11"] / area - x * y
    cos, sin, long, short = _axis(xx, yy, xy)
    return Thing(left + x, top + y, area, cos, sin, long, short, left, top, filled)


def _axis(xx: float, yy: float, xy: float) -> tuple[float, float, float, float]:
    """The long axis of second moments, and the spread along and across it; by half angles, without an arc tangent."""
    difference, twice = xx - yy, 2 * xy
    length = math.sqrt(difference * difference + twice * twice)
    long = math.sqrt(max((xx + yy + length) / 2, 0.0))
    short = math.sqrt(max((xx + yy - length) / 2, 0.0))
    if length == 0:
        return 1.0, 0.0, long, short
    cos = math.sqrt(max(0.0, (1 + difference / length) / 2))
    sin = math.copysign(math.sqrt(max(0.0, (1 - difference / length) / 2)), twice)
    return cos, sin, long, short
