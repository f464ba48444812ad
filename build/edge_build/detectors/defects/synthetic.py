"""Made-up defects on good pictures: what CPR's local branch learns to tell from good surfaces.

A mask from Perlin noise, kept inside the foreground; in it the picture is blended with a texture or with a distorted,
shuffled copy of itself (Zavrtanik et al. 2021, "DRAEM"; Yang et al. 2023, "MemSeg"; CPR, section 4.1).

    image, mask = with_defect(picture, foreground, textures, random)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # BGR (H, W, 3)
Mask = NDArray[np.bool_]  # (H, W)
Random = np.random.Generator

DEFECTIVE = 0.9  # share of the samples
LARGEST_PERIOD_POWER = 5
NOISE_THRESHOLD = 0.5
SMALLEST_SHARE = 0.001  # of the picture's area, for a component of the mask
TRIES = 10
DISTORTIONS = 3
TILES = 16  # along each axis


def with_defect(
    picture: Image, foreground: Mask | None, textures: Sequence[Image], random: Random
) -> tuple[Image, Mask]:
    """A copy with defects, and where they are; one in ten stays good.

    foreground: where defects may be; None for a texture, everywhere. textures: pictures of the same size to blend in,
    may be none. On a part half of the defects come from the part itself; without textures all do.
    """
    mask = defect_mask(picture.shape[0], picture.shape[1], foreground, random)
    if not mask.any():
        return picture.copy(), mask
    structural = not textures or (foreground is not None and random.random() < 0.5)
    source = structural_source(picture, random) if structural else textures[int(random.integers(len(textures)))]
    factor = random.uniform(0.5, 1)
    blended = factor * source.astype(np.float32) + (1 - factor) * picture
    return np.where(mask[..., None], np.round(blended), picture).astype(np.uint8), mask


def defect_mask(height: int, width: int, foreground: Mask | None, random: Random) -> Mask:
    """Where defects are; empty for one in ten, and where ten tries found no place on the foreground."""
    empty = np.zeros((height, width), np.bool_)
    if random.random() >= DEFECTIVE:
        return empty
    for _ in range(TRIES):
        noise = perlin_noise(height, width, _period(random), _period(random), random)
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-90, 90), 1)
        mask = cv2.warpAffine(noise, turn, (width, height)) > NOISE_THRESHOLD
        if foreground is not None:
            mask &= foreground
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        large = stats[:, cv2.CC_STAT_AREA] >= SMALLEST_SHARE * height * width
        large[0] = False
        if large.any():
            return np.asarray(large[labels])
    return empty


def perlin_noise(height: int, width: int, rows: int, columns: int, random: Random) -> NDArray[np.float32]:
    """Gradient noise (height, width) within -1..1 on a grid of so many rows and columns (Perlin 1985)."""
    angles = random.uniform(0, 2 * np.pi, (rows + 1, columns + 1))
    y, x = np.arange(height) * rows / height, np.arange(width) * columns / width
    row, column = y.astype(int), x.astype(int)
    dy, dx = (y - row)[:, None], (x - column)[None]

    def towards(down: int, right: int) -> NDArray[np.float64]:
        angle = angles[(row + down)[:, None], (column + right)[None]]
        return np.asarray(np.sin(angle) * (dy - down) + np.cos(angle) * (dx - right))

    across = _faded(dx)
    upper = towards(0, 0) + across * (towards(0, 1) - towards(0, 0))
    lower = towards(1, 0) + across * (towards(1, 1) - towards(1, 0))
    return np.asarray(np.sqrt(2) * (upper + _faded(dy) * (lower - upper)), np.float32)


def structural_source(picture: Image, random: Random) -> Image:
    """The picture distorted in three ways, its tiles shuffled."""
    for number in random.choice(len(_DISTORTIONS), DISTORTIONS, replace=False):
        picture = _DISTORTIONS[number](picture, random)
    height, width = picture.shape[0] // TILES, picture.shape[1] // TILES
    tiles = picture.reshape(TILES, height, TILES, width, 3).swapaxes(1, 2).reshape(-1, height, width, 3)
    shuffled = random.permutation(tiles).reshape(TILES, TILES, height, width, 3)
    return np.ascontiguousarray(shuffled.swapaxes(1, 2).reshape(picture.shape))


def augmented(picture: Image, random: Random) -> Image:
    """Sometimes a little salt and pepper, sometimes a little lighter or darker."""
    if random.random() < 0.3:
        noise = random.random(picture.shape[:2])
        limit = (1 - random.uniform(0.97, 1)) / 2
        picture = np.where((noise < limit)[..., None], 0, np.where((noise > 1 - limit)[..., None], 255, picture))
    if random.random() < 0.3:
        picture = np.clip(np.round(picture * random.uniform(0.9, 1.1)), 0, 255)
    return picture.astype(np.uint8)


def _period(random: Random) -> int:
    return 1 << int(random.integers(0, LARGEST_PERIOD_POWER + 1))


def _faded(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(t**3 * (t * (t * 6 - 15) + 10))


def _mapped(picture: Image, table: NDArray[np.floating]) -> Image:
    """Every value replaced by that of a table of 256."""
    return np.asarray(cv2.LUT(picture, np.clip(np.round(table), 0, 255).astype(np.uint8)), np.uint8)


_VALUES = np.arange(256, dtype=np.float64)


def _gamma(picture: Image, random: Random) -> Image:
    return _mapped(picture, 255 * (_VALUES / 255) ** random.uniform(0.5, 2))


def _brightness(picture: Image, random: Random) -> Image:
    return _mapped(picture, _VALUES * random.uniform(0.8, 1.2) + random.uniform(-30, 30))


def _sharpen(picture: Image, random: Random) -> Image:
    amount = random.uniform(0.5, 2)
    blurred = cv2.GaussianBlur(picture, (0, 0), 1.5)
    return np.asarray(cv2.addWeighted(picture, 1 + amount, blurred, -amount, 0), np.uint8)


def _hue(picture: Image, random: Random) -> Image:
    hue, saturation, value = cv2.split(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV))
    hue = ((hue.astype(int) + random.integers(-50, 51)) % 180).astype(np.uint8)
    saturation = np.clip(saturation.astype(int) + random.integers(-50, 51), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.merge([hue, saturation, value]), cv2.COLOR_HSV2BGR), np.uint8)


def _solarize(picture: Image, random: Random) -> Image:
    return _mapped(picture, np.where(random.integers(32, 129) > _VALUES, _VALUES, 255 - _VALUES))


def _posterize(picture: Image, random: Random) -> Image:
    step = 256 // 2 ** random.integers(2, 5)
    return _mapped(picture, _VALUES // step * step)


def _invert(picture: Image, random: Random) -> Image:
    return 255 - picture


def _autocontrast(picture: Image, random: Random) -> Image:
    low, high = int(picture.min()), int(picture.max())
    return _mapped(picture, (_VALUES - low) * 255 / max(high - low, 1))


def _equalize(picture: Image, random: Random) -> Image:
    return np.asarray(cv2.merge([cv2.equalizeHist(channel) for channel in cv2.split(picture)]), np.uint8)


def _rotate(picture: Image, random: Random) -> Image:
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-45, 45), 1)
    return np.asarray(cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


_DISTORTIONS: tuple[Callable[[Image, Random], Image], ...] = (
    _gamma, _brightness, _sharpen, _hue, _solarize, _posterize, _invert, _autocontrast, _equalize, _rotate,
)  # fmt: skip
