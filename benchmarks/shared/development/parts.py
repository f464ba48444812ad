"""Good parts before a background: a coin of a photograph, and rendered parts of three materials.

Each function gives a picture and where its part is, bool (H, W). Parts are drawn in a frame of their own (-1 to 1) and
placed with a turn and a shift; a bevel along their edges and a light from the upper left make them look solid.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from benchmarks.shared.development.surfaces import Image, Random, clipped, smooth_noise

Mask = NDArray[np.bool_]  # (H, W)
Plane = NDArray[np.float64]  # (H, W)
LIGHT = (-0.6, -0.6)


def coin(side: int, random: Random) -> tuple[Image, Mask]:
    """One coin of scikit-image's photograph, at any angle, on a dark cloth."""
    face = _coin_face()
    radius = 0.36 * side
    turn = _placement(random, side, 180, 0.05) @ np.diag([radius, radius, 1])
    x, y = _own_coordinates(turn, side)
    size = face.shape[0]
    found = cv2.remap(
        face, ((x + 1) * size / 2).astype(np.float32), ((y + 1) * size / 2).astype(np.float32), cv2.INTER_LINEAR
    )
    mask = np.hypot(x, y) < 0.97
    ground = 34 + 5 * random.standard_normal((side, side))
    grey = np.asarray(cv2.GaussianBlur(np.where(mask, found, ground), (0, 0), 0.6), np.float64)
    return _coloured(grey, (1.0, 1.0, 1.0)), mask


def metal(side: int, random: Random) -> tuple[Image, Mask]:
    """A dark brushed bracket with holes before a dark belt, at any angle."""
    x, y = _own_coordinates(_placement(random, side, 180, 0.06) @ np.diag([0.38 * side, 0.38 * side, 1]), side)
    mask = (np.abs(x) < 0.95) & (np.abs(y) < 0.42) & ~((x > 0.35) & (y > 0.1))
    for hole in (-0.62, 0.0, 0.62):
        mask &= np.hypot(x - hole, y + 0.12) > 0.14
    brushed = cv2.GaussianBlur(random.standard_normal((512, 512)), (0, 0), sigmaX=12, sigmaY=0.7)
    grain = cv2.remap(brushed, ((x + 2) * 128).astype(np.float32), ((y + 2) * 128).astype(np.float32), cv2.INTER_LINEAR)
    ground = 46 + 3.5 * smooth_noise(side, side, 1.2, random)
    return _lit(mask, np.asarray(78 + 40 * grain), np.asarray(ground), 26, (1.0, 0.98, 0.95), random), mask


def plastic(side: int, random: Random) -> tuple[Image, Mask]:
    """A moulded black cap with ribs before a darker ground, in a fixture."""
    x, y = _own_coordinates(_placement(random, side, 2, 0.015) @ np.diag([0.4 * side, 0.4 * side, 1]), side)
    radius = np.hypot(x, y)
    mask = radius < 0.95
    ribs = 7 * (np.cos(12 * np.arctan2(y, x)) > 0.4) * ((radius > 0.35) & (radius < 0.8)) + 10.0 * (radius < 0.25)
    surface = 58 + ribs + 2.5 * smooth_noise(side, side, 0.8, random)
    ground = 30 + 2 * smooth_noise(side, side, 2, random)
    return _lit(mask, surface, ground, 20, (1.06, 1.0, 0.94), random), mask


def wood(side: int, random: Random) -> tuple[Image, Mask]:
    """A turned wooden peg with a grain of its own before a light table, turned a little."""
    x, y = _own_coordinates(_placement(random, side, 12, 0.04) @ np.diag([0.4 * side, 0.4 * side, 1]), side)
    mask = (np.abs(y) < 0.95) & (np.abs(x) < np.where(np.abs(y) < 0.3, 0.45, 0.3))
    wander = smooth_noise(side, side, 30, random)
    rings = np.sin(2 * np.pi * (5 * x + 0.6 * wander + random.random()))
    surface = 120 + 16 * rings + 5 * smooth_noise(side, side, 1, random) - 60 * x**2
    ground = 186 + 3 * smooth_noise(side, side, 1, random)
    return _lit(mask, surface, ground, 22, (0.62, 0.86, 1.12), random), mask


@cache
def _coin_face() -> NDArray[np.float32]:
    """The largest coin of the photograph, enlarged to 256 x 256."""
    photograph = np.asarray(skimage.data.coins(), np.uint8)  # type: ignore[no-untyped-call]  # skimage leaves it without types
    circles = cv2.HoughCircles(
        cv2.medianBlur(photograph, 5), cv2.HOUGH_GRADIENT, 1, 40, param1=120, param2=22, minRadius=18, maxRadius=36
    )
    assert circles is not None
    whole = [c for c in circles[0] if c[2] < min(c[0], c[1], photograph.shape[1] - c[0], photograph.shape[0] - c[1])]
    x, y, radius = (int(value) for value in max(whole, key=lambda circle: float(circle[2])))
    face = photograph[y - radius : y + radius, x - radius : x + radius]
    return np.asarray(cv2.resize(face, (256, 256), interpolation=cv2.INTER_CUBIC), np.float32)


def _placement(random: Random, side: int, degrees: float, shift: float) -> Plane:
    """From a part's own frame in pixels to the picture, 3x3: turned and shifted by at most so much."""
    angle = np.deg2rad(random.uniform(-degrees, degrees))
    dx, dy = random.uniform(-shift, shift, 2) * side
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, side / 2 + dx], [sin, cos, side / 2 + dy], [0, 0, 1]])


def _own_coordinates(placement: Plane, side: int) -> tuple[Plane, Plane]:
    """Where every pixel is in the part's own frame."""
    y, x = np.mgrid[:side, :side].astype(np.float64)
    inverse = np.linalg.inv(placement)
    return inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2], inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]


def _lit(
    mask: Mask, surface: Plane, ground: Plane, bevel: float, colour: tuple[float, float, float], random: Random
) -> Image:
    """The surface with lit edges, its shadow on the ground."""
    height = np.minimum(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), 4).astype(np.float64)
    slope_y, slope_x = np.gradient(cv2.GaussianBlur(height, (0, 0), 1))
    shaded = surface + bevel * (LIGHT[0] * slope_x + LIGHT[1] * slope_y) * -1
    shadow = cv2.GaussianBlur(np.roll(mask, (4, 4), (0, 1)).astype(np.float64), (0, 0), 3)
    grey = cv2.GaussianBlur(np.where(mask, shaded, ground * (1 - 0.35 * shadow)), (0, 0), 0.6)
    return _coloured(np.asarray(grey + 1.5 * random.standard_normal(grey.shape)), colour)


def _coloured(grey: Plane, colour: tuple[float, float, float]) -> Image:
    return clipped(grey[..., None] * np.array(colour))
