"""Round parts unwrapped: every circle around the middle becomes a row, so that turning is only a shift along rows.

The strip begins at the part's own angle. Its two ends show the same stretch of the ring, so that nothing lies on a
seam.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.imaging.geometry import Placement, points_in
from edge_runtime.imaging.pyramid import FRACTION, Pyramid
from edge_runtime.imaging.view import Ring


@dataclass(frozen=True)
class Strip:
    """How the rows and columns of a strip (height, width) lie on a part: radii and angles in its own coordinates."""

    height: int
    width: int
    inner: float
    outer: float
    overlap: float

    @staticmethod
    def of(ring: Ring, height: int, width: int) -> Strip:
        """The strip of a ring, in a picture of that size."""
        return Strip(height, width, ring.inner, ring.outer, ring.overlap)

    @property
    def per_column(self) -> float:
        """Radians."""
        return 2 * math.pi * (1 + self.overlap) / self.width

    def on_part(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Points of the strip (n, 2) as column, row, in the part's coordinates. The outer edge is the first row."""
        angle = (points[:, 0] + 0.5) * self.per_column
        radius = self.outer - (points[:, 1] + 0.5) * (self.outer - self.inner) / self.height
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    def from_part(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """The way back, to the first of the two places where the ends overlap."""
        x, y = points[:, 0], points[:, 1]
        angle = np.mod(np.arctan2(y, x), 2 * math.pi)
        row = (self.outer - np.hypot(x, y)) * self.height / (self.outer - self.inner) - 0.5
        return np.stack([angle / self.per_column - 0.5, row], axis=1)


def unwrapped(colour: Pyramid, place: Placement, strip: Strip) -> NDArray[np.uint8]:
    """The strip of a frame, uint8 BGR (height, width, 3)."""
    columns, rows = np.meshgrid(np.arange(strip.width), np.arange(strip.height))
    on_part = strip.on_part(np.stack([columns.ravel(), rows.ravel()], axis=1))
    step = max((strip.outer - strip.inner) / strip.height, strip.outer * strip.per_column)
    number = colour.depth(max(0, round(math.log2(step))))
    side = 1 << number
    level = (points_in(place.matrix(), on_part) + 0.5) / side - 0.5
    fixed = np.rint(level.reshape(strip.height, strip.width, 2) * (1 << FRACTION)).astype(np.int32)
    mask = (1 << FRACTION) - 1
    weights = ((fixed[..., 1] & mask) << FRACTION | (fixed[..., 0] & mask)).astype(np.uint16)
    places = np.clip(fixed >> FRACTION, -32000, 32000).astype(np.int16)
    picture = cv2.remap(colour.level(number), places, weights, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(picture, np.uint8)
