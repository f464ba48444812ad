"""Drawn parts for views: where each lies is known, and what lies around it is not empty.

image = draw(plate(), Pose(300, 200, 0.4), random)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
FINE = 4  # parts are drawn so many times larger


@dataclass(frozen=True)
class Pose:
    """The middle in pixels of the picture, and the angle in radians."""

    x: float
    y: float
    angle: float = 0.0


@dataclass(frozen=True)
class Drawn:
    """A part before it lies anywhere: BGR (h, w, 3) and cover (h, w), FINE times larger, its middle in the middle."""

    image: Image
    cover: Image


def bolt(colour: int = 190, detail: int = 90) -> Drawn:
    """A long part, 160 x 40, with a head at one end and grooves at the other."""
    image, cover = _empty(200, 80)
    cv2.rectangle(cover, (20 * FINE, 30 * FINE), (180 * FINE, 50 * FINE), 255, -1)
    cv2.rectangle(cover, (150 * FINE, 18 * FINE), (180 * FINE, 62 * FINE), 255, -1)
    image[:] = colour
    for x in range(24, 110, 8):
        cv2.line(image, (x * FINE, 30 * FINE), ((x + 5) * FINE, 50 * FINE), (detail,) * 3, 2 * FINE)
    cv2.rectangle(image, (158 * FINE, 30 * FINE), (172 * FINE, 50 * FINE), (detail,) * 3, -1)
    return Drawn(image, cover)


def cam(colour: int = 180, detail: int = 60) -> Drawn:
    """A part as wide as high with one lug and three unlike holes: no symmetry."""
    image, cover = _empty(160, 160)
    cv2.circle(cover, (80 * FINE, 80 * FINE), 56 * FINE, 255, -1)
    cv2.circle(cover, (128 * FINE, 80 * FINE), 22 * FINE, 255, -1)
    image[:] = colour
    for x, y, radius in ((128, 80, 9), (60, 60, 12), (70, 105, 6)):
        cv2.circle(image, (x * FINE, y * FINE), radius * FINE, (detail,) * 3, -1)
    return Drawn(image, cover)


def draw(
    part: Drawn, pose: Pose, random: np.random.Generator, size: tuple[int, int] = (320, 400), ground: int = 60
) -> Image:
    """The part on a ground with grain, in slightly changing light: uint8 BGR (height, width, 3)."""
    height, width = size
    scene = ground + random.normal(0, 2, (height, width, 3))
    return with_part(scene, part, pose, random)


def with_part(scene: NDArray[np.floating], part: Drawn, pose: Pose, random: np.random.Generator) -> Image:
    """A part laid on a scene."""
    height, width = scene.shape[:2]
    high, wide = part.cover.shape
    cos, sin = np.cos(pose.angle) / FINE, np.sin(pose.angle) / FINE
    turn = np.array([[cos, -sin], [sin, cos]])
    move = np.array([pose.x, pose.y]) - turn @ np.array([(wide - 1) / 2, (high - 1) / 2])
    matrix = np.hstack([turn, move[:, None]])
    soft = cv2.GaussianBlur(part.cover, (0, 0), FINE / 2), cv2.GaussianBlur(part.image, (0, 0), FINE / 2)
    cover, image = (cv2.warpAffine(one, matrix, (width, height), flags=cv2.INTER_LINEAR) for one in soft)
    alpha = cover[..., None].astype(float) / 255
    lit = image * random.uniform(0.93, 1.07) + random.normal(0, 2, scene.shape)
    return np.asarray(np.clip(np.rint(alpha * lit + (1 - alpha) * scene), 0, 255), np.uint8)


def anywhere(random: np.random.Generator, size: tuple[int, int] = (320, 400), turned: float = np.pi) -> Pose:
    """A place well inside the picture, at any angle up to `turned`."""
    height, width = size
    return Pose(
        width / 2 + random.uniform(-0.2, 0.2) * width,
        height / 2 + random.uniform(-0.15, 0.15) * height,
        random.uniform(-turned, turned),
    )


def dark_on_dark(random: np.random.Generator) -> Image:
    """A dark part that hardly differs from its dark ground, near one place."""
    pose = Pose(200 + random.uniform(-6, 6), 160 + random.uniform(-6, 6), random.uniform(-0.01, 0.01))
    return draw(cam(colour=34, detail=18), pose, random, ground=24)


def food(random: np.random.Generator) -> Image:
    """A lump that is never the same, at any angle, with crumbs and a tray's edge in the frame."""
    scene = np.full((320, 400, 3), 70.0) + random.normal(0, 3, (320, 400, 3))
    scene[:, :18] = 120
    for _ in range(int(random.integers(3, 9))):
        centre = (int(random.uniform(20, 390)), int(random.uniform(10, 310)))
        cv2.circle(scene, centre, int(random.uniform(3, 9)), (150, 170, 190), -1)
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    wobble = sum(random.uniform(-6, 6) * np.cos(n * angle + random.uniform(0, 6)) for n in range(2, 6))
    turn, (x, y) = random.uniform(0, np.pi), random.uniform((150, 120), (260, 200))
    long, short = (75 + wobble) * np.cos(angle), (48 + wobble) * np.sin(angle)
    points = np.stack(
        [x + long * np.cos(turn) - short * np.sin(turn), y + long * np.sin(turn) + short * np.cos(turn)], 1
    )
    cv2.fillPoly(scene, [points.astype(np.int32)], (90, 140, 200))
    speckle = cv2.GaussianBlur(random.normal(0, 40, scene.shape[:2]), (0, 0), 2)[..., None]
    return np.asarray(np.clip(scene + speckle, 0, 255), np.uint8)


def fabric(random: np.random.Generator) -> Image:
    """Woven cloth; every third picture shows its edge on one side."""
    y, x = np.mgrid[:320, :400]
    phase = random.uniform(0, 6, 2)
    weave = 120 + 25 * np.sin(x * 0.9 + phase[0]) * np.sin(y * 0.9 + phase[1]) + random.normal(0, 6, (320, 400))
    if random.random() < 1 / 3:
        weave[:, int(random.uniform(300, 380)) :] = 30
    return np.asarray(np.clip(np.repeat(weave[..., None], 3, 2), 0, 255), np.uint8)


def plate(random: np.random.Generator) -> Image:
    """Plates of differing height that stand at the lower edge."""
    scene = np.full((320, 400, 3), 40.0) + random.normal(0, 3, (320, 400, 3))
    top = int(random.uniform(60, 200))
    scene[top:300, 60:340] = 150 + random.normal(0, 4, (300 - top, 280, 3))
    return np.asarray(np.clip(scene, 0, 255), np.uint8)


def write_pictures(folder: Path, make: Callable[[np.random.Generator], Image], number: int, seed: int = 0) -> Path:
    """A folder of so many good pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for n in range(number):
        cv2.imwrite(str(folder / f"{n:03}.png"), make(random))
    return folder


def _empty(width: int, height: int) -> tuple[Image, Image]:
    return (
        np.zeros((height * FINE, width * FINE, 3), np.uint8),
        np.zeros((height * FINE, width * FINE), np.uint8),
    )
