"""Where things lie: a part's place in a frame, and 2x3 matrices between pictures.

Pixel centres have whole coordinates: a picture `width` pixels wide reaches from -0.5 to width - 0.5. Angles are kept as
unit vectors and only ever changed by square roots and divisions, which every machine rounds alike; sine and cosine are
not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]  # 2x3: xy = matrix @ [u, v, 1]


@dataclass(frozen=True)
class Placement:
    """Where a part lies: its origin x, y in pixels of the frame, and its own x axis as a unit vector there."""

    x: float
    y: float
    cos: float = 1.0
    sin: float = 0.0

    @property
    def degrees(self) -> float:
        """The angle, -180 to 180, growing from the frame's x axis to its y axis. For people and limits."""
        return math.degrees(math.atan2(self.sin, self.cos))

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A point of the part in the frame."""
        return self.x + self.cos * x - self.sin * y, self.y + self.sin * x + self.cos * y

    def moved(self, x: float, y: float) -> Placement:
        """The same with the origin at another point of the part."""
        return Placement(*self.point(x, y), self.cos, self.sin)

    def turned(self, cos: float, sin: float) -> Placement:
        """The same, turned further about its origin by a unit vector's angle; brought back to unit length."""
        c, s = self.cos * cos - self.sin * sin, self.sin * cos + self.cos * sin
        length = math.sqrt(c * c + s * s)
        return Placement(self.x, self.y, c / length, s / length)

    def matrix(self) -> Matrix:
        """From the part's coordinates to the frame."""
        return np.array([[self.cos, -self.sin, self.x], [self.sin, self.cos, self.y]])


def joined(outer: Matrix, inner: Matrix) -> Matrix:
    """What `inner` and then `outer` do."""
    return np.hstack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2:] + outer[:, 2:]])


def inverse(matrix: Matrix) -> Matrix:
    """The way back. Raises ValueError for a matrix that flattens the plane."""
    (a, b, x), (c, d, y) = matrix.tolist()
    determinant = a * d - b * c
    if determinant == 0:
        raise ValueError(f"{matrix.tolist()} has no way back")
    back = np.array([[d, -b], [-c, a]]) / determinant
    return np.hstack([back, -(back @ np.array([[x], [y]]))])


def scaled(x_scale: float, y_scale: float, x: float = 0.0, y: float = 0.0) -> Matrix:
    """From a picture's pixels to another's that is so many times as large: edges stay on edges; then moved."""
    return np.array([[x_scale, 0.0, (x_scale - 1) / 2 + x], [0.0, y_scale, (y_scale - 1) / 2 + y]])


def points_in(matrix: Matrix, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Points (n, 2) as x, y, carried over."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def to_placement(placement: Placement, side: int) -> Placement:
    """A place in a halved frame, brought to the frame; side: the frame's pixels along a halved one's."""
    half = (side - 1) / 2
    return Placement(placement.x * side + half, placement.y * side + half, placement.cos, placement.sin)
