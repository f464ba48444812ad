"""Good surfaces without a part: crops of photographs that scikit-image brings, and cloth woven by a program."""

from __future__ import annotations

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # BGR (H, W, 3)
Random = np.random.Generator

CROP = 176  # pixels of the photograph that become one picture
THREAD = 7.0  # pixels from one thread to the next


def photograph(name: str, side: int, test: bool, random: Random) -> Image:
    """A crop of one of scikit-image's grey photographs (512 x 512): of its left half, to test of its right half."""
    grey = np.asarray(getattr(skimage.data, name)(), np.uint8)
    half = grey[:, grey.shape[1] // 2 :] if test else grey[:, : grey.shape[1] // 2]
    y, x = (int(random.integers(length - CROP + 1)) for length in half.shape)
    enlarged = cv2.resize(half[y : y + CROP, x : x + CROP], (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.cvtColor(enlarged, cv2.COLOR_GRAY2BGR), np.uint8)


def weave(side: int, random: Random) -> Image:
    """Twill of two colours: threads of even spacing that wander a little and are not all of one brightness."""
    y, x = np.mgrid[:side, :side].astype(np.float64)
    wander = [smooth_noise(side, side, 24, random) for _ in range(2)]
    across, down = x / THREAD + random.random() + 0.25 * wander[0], y / THREAD + random.random() + 0.25 * wander[1]
    over = (np.floor(across) + np.floor(down)) % 4 < 2  # two over, two under
    bright = [1 + 0.06 * random.standard_normal(2 * side) for _ in range(2)]
    warp = np.abs(np.sin(np.pi * across)) ** 0.5 * bright[0][np.floor(across).astype(int)]
    weft = np.abs(np.sin(np.pi * down)) ** 0.5 * bright[1][np.floor(down).astype(int)]
    colours = np.array([[150, 105, 70], [95, 120, 150]])
    cloth = np.where(over[..., None], warp[..., None] * colours[0], weft[..., None] * colours[1])
    return clipped(cloth + 4 * random.standard_normal((side, side, 1)))


def smooth_noise(height: int, width: int, sigma: float, random: Random) -> NDArray[np.float64]:
    """Noise (height, width) of mean 0 and deviation 1 whose values change over about `sigma` pixels."""
    noise = cv2.GaussianBlur(random.standard_normal((height, width)), (0, 0), sigma)
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-9))


def clipped(values: NDArray[np.floating]) -> Image:
    """Values as a picture."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
