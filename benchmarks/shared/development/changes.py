"""What is drawn on good pictures: defects of four kinds, and what varies on good parts without being a defect.

Written by hand and apart from what training uses (edge_build/detectors/defects): neither Perlin masks nor blends.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.shared.development.surfaces import Image, Random, clipped, smooth_noise

Mask = NDArray[np.bool_]  # (H, W)
SEEN = 5.0  # a pixel belongs to a defect where it changed by so many grey levels
LEAST = 12  # pixels of a defect


def varied(picture: Image, place: Mask, random: Random) -> Image:
    """A good picture as lines see it: a little lighter or darker, sensor noise, some specks, a mark of handling."""
    height, width = picture.shape[:2]
    changed = picture.astype(np.float64) * random.uniform(0.95, 1.05) + random.uniform(-3, 3)
    tilt = np.linspace(-1, 1, width)[None, :, None] * random.uniform(-0.04, 0.04)
    changed = changed * (1 + tilt)
    layer = np.zeros((height, width), np.float64)
    for _ in range(int(random.integers(0, 6))):
        x, y = _point(place, random)
        cv2.circle(layer, (x, y), 1, float(random.uniform(-14, 14)), -1, cv2.LINE_AA)
    if random.random() < 0.4:
        _line(layer, _point(place, random), 0.1 * min(height, width), 1, float(random.uniform(-9, 9)), random)
    changed += np.asarray(cv2.GaussianBlur(layer, (0, 0), 0.6))[..., None]
    return clipped(changed + 1.5 * random.standard_normal(changed.shape))


def scratch(picture: Image, place: Mask, random: Random) -> Image:
    """A thin bent line with a bright and a dark edge."""
    height, width = picture.shape[:2]
    layer = np.zeros((height, width), np.float64)
    depth = random.uniform(30, 80) * random.choice([-1, 1])
    _line(layer, _point(place, random), random.uniform(0.08, 0.28) * min(height, width), 2, depth, random)
    soft = cv2.GaussianBlur(layer, (0, 0), 0.7)
    relief = np.asarray(soft - 0.4 * np.roll(soft, (1, 1), (0, 1)), np.float64)
    return clipped(picture + relief[..., None])


def stain(picture: Image, place: Mask, random: Random) -> Image:
    """A soft blotch with a ragged rim, in a tint."""
    height, width = picture.shape[:2]
    x, y = _point(place, random)
    radius = random.uniform(0.035, 0.09) * min(height, width)
    rows, columns = np.mgrid[:height, :width]
    ragged = 1 + 0.25 * smooth_noise(height, width, 0.4 * radius, random)
    blotch = 0.5 - 0.5 * np.tanh(3 * (np.hypot(rows - y, columns - x) / (radius * ragged) - 1))
    tint = random.uniform(18, 45) * random.choice([-1, 1]) * random.uniform(0.6, 1.2, 3)
    return clipped(picture + blotch[..., None] * tint)


def displaced(picture: Image, place: Mask, random: Random) -> Image:
    """A piece that lies turned by a right angle or mirrored where another one belongs."""
    height, width = picture.shape[:2]
    size = round(random.uniform(0.06, 0.15) * min(height, width))
    x, y = _corner(place, size, random)
    other_x, other_y = _corner(place, size, random)
    piece = picture[other_y : other_y + size, other_x : other_x + size]
    piece = np.rot90(piece, int(random.integers(1, 4))) if random.random() < 0.5 else piece[:, ::-1]
    circle = np.zeros((height, width))
    cv2.circle(circle, (x + size // 2, y + size // 2), size // 2, 1.0, -1)
    soft = cv2.GaussianBlur(circle, (0, 0), 1)[..., None]
    moved = picture.astype(np.float64)
    moved[y : y + size, x : x + size] = piece
    return clipped(soft * moved + (1 - soft) * picture)


def pit(picture: Image, place: Mask, random: Random) -> Image:
    """Some small dents, each lit on one side and dark on the other."""
    changed = picture.astype(np.float64)
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    first = _point(place, random)
    for _ in range(int(random.integers(1, 4))):
        x, y = np.array(first) + random.normal(0, 0.03 * min(height, width), 2)
        radius = random.uniform(0.012, 0.03) * min(height, width)
        bowl = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2))
        lit = ((columns - x) + (rows - y)) / radius * bowl
        changed += (random.uniform(25, 55) * lit - random.uniform(10, 40) * bowl)[..., None]
    return clipped(changed)


Change = Callable[[Image, Mask, Random], Image]
DEFECTS: dict[str, Change] = {"scratch": scratch, "stain": stain, "displaced": displaced, "pit": pit}


def with_defect(picture: Image, place: Mask, kind: str, random: Random) -> tuple[Image, Mask]:
    """A copy with a defect whose middle lies in `place`, and where it is to be seen."""
    while True:
        changed = DEFECTS[kind](picture, place, random)
        difference = np.abs(changed.astype(int) - picture).max(2)
        mask = cv2.morphologyEx((difference > SEEN).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
        if mask.sum() >= LEAST:
            return changed, np.asarray(mask)


def part_of(picture: Image) -> Mask:
    """Roughly where a photographed part is: what differs from the border; everything where hardly anything does."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (0, 0), 3).astype(np.float64)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    mask = np.abs(grey - np.median(border)) > max(25.0, 2 * float(border.std()))
    return mask if 0.02 < mask.mean() < 0.7 else np.ones_like(mask)


def _point(place: Mask, random: Random) -> tuple[int, int]:
    rows, columns = np.nonzero(place)
    number = int(random.integers(len(rows)))
    return int(columns[number]), int(rows[number])


def _corner(place: Mask, size: int, random: Random) -> tuple[int, int]:
    """The upper left corner of a square inside the picture around a point of `place`."""
    x, y = _point(place, random)
    height, width = place.shape
    return min(max(x - size // 2, 0), width - size), min(max(y - size // 2, 0), height - size)


def _line(
    layer: NDArray[np.float64], start: tuple[int, int], length: float, width: int, depth: float, random: Random
) -> None:
    angle, points = random.uniform(0, 2 * np.pi), [np.array(start, np.float64)]
    for _ in range(6):
        angle += random.normal(0, 0.25)
        points.append(points[-1] + length / 6 * np.array([np.cos(angle), np.sin(angle)]))
    line = np.round(np.array(points)).astype(np.int32)
    cv2.polylines(layer, [line], False, float(depth), width, cv2.LINE_AA)
