"""The one resize of the product: training, calibration, evaluation and the daemon all call `preprocess`.

A model only sees pictures that went through here, so scores cannot drift apart between host and device. The name of
this exact procedure stands in every manifest; a change of a single pixel's value is a new name.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

PREPROCESSING = "bgr8-area-1"


def preprocess(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Bring a picture to the model's size.

    image: uint8 BGR (h, w, 3). Returns uint8 BGR (1, height, width, 3), contiguous; the picture is stretched when the
    aspect ratios differ. An axis that shrinks is averaged over the pixels it covers (antialiased, cv2.INTER_AREA);
    an axis that grows is interpolated linearly. A picture that is at least twice as large along both axes is first
    halved by means of 2x2 pixels, as often as that goes: a frame of five megapixels takes a third of the time so.
    Raises ValueError for anything that is not uint8 (h, w, 3).
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"expected a uint8 picture (height, width, 3), got {image.dtype} {image.shape}")
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)[None]
    while _can_be_halved(image, height, width):
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    # One axis after the other when only one shrinks: INTER_AREA averages only where no axis grows.
    shrunk = (min(image.shape[1], width), min(image.shape[0], height))
    if shrunk != (image.shape[1], image.shape[0]):
        image = np.asarray(cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if shrunk != (width, height):
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    return image[None]


def _can_be_halved(image: NDArray[np.uint8], height: int, width: int) -> bool:
    """Even sides that stay large enough: OpenCV has a fast path for 2x2 means, and for no other area."""
    sides = ((image.shape[0], height), (image.shape[1], width))
    return all(side % 2 == 0 and side >= 2 * wanted for side, wanted in sides)
