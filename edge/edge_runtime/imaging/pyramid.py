"""A frame in halved sizes, and samples from them on any grid that is moved, turned or scaled.

Both compute with whole numbers alone: halves are rounded means of 2x2 pixels, samples are taken at 32nds of a pixel
with whole weights. So x86 and ARM get the same pixels.

    pyramid = Pyramid(frame.image)
    picture = pyramid.sampled(matrix, 160, 512)  # matrix: from the picture's pixels to the frame's
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.imaging.geometry import Matrix, joined, scaled

Image = NDArray[np.uint8]
FRACTION = 5  # bits: what cv2.remap takes
EXACT = 12  # bits of the steps that are summed: frames of 8,000 pixels, and 2^-12 of a 32nd at each
SMALLEST = 16  # pixels of a side that is not halved any more


class Pyramid:
    """Level 0 is the picture (h, w, 3); every further one has half its sides. All are computed when asked for."""

    def __init__(self, image: Image) -> None:
        self._levels = [image]
        self._greys: dict[int, Image] = {}

    def level(self, number: int) -> Image:
        """The picture halved so often; as often as its sides allow."""
        while len(self._levels) <= number and min(self._levels[-1].shape[:2]) >= 2 * SMALLEST:
            self._levels.append(halved(self._levels[-1]))
        return self._levels[min(number, len(self._levels) - 1)]

    def grey(self, number: int) -> Image:
        """The same in grey, (h, w)."""
        number = self.depth(number)
        if number not in self._greys:
            self._greys[number] = np.asarray(cv2.cvtColor(self._levels[number], cv2.COLOR_BGR2GRAY), np.uint8)
        return self._greys[number]

    def depth(self, number: int) -> int:
        """How often the picture `level(number)` was really halved."""
        self.level(number)
        return min(number, len(self._levels) - 1)

    def sampled(self, matrix: Matrix, height: int, width: int) -> Image:
        """A picture (height, width, 3) whose pixels lie in the frame by a matrix; the border is repeated beyond it.

        Where a pixel of the result covers several of the frame, the halved level with about its size is taken, so that
        no detail comes and goes with the place.
        """
        number = self.depth(nearest_level(matrix))
        return sampled(self._levels[number], to_level(matrix, number), height, width)

    def grey_sampled(self, matrix: Matrix, height: int, width: int) -> Image:
        """The same in grey, (height, width)."""
        number = self.depth(nearest_level(matrix))
        return sampled(self.grey(number), to_level(matrix, number), height, width)


def halved(image: Image) -> Image:
    """Half as high and wide, by means of 2x2 pixels; an odd last row or column is left out."""
    even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8)


def nearest_level(matrix: Matrix) -> int:
    """How often to halve a frame, so that its pixels are about as large as those of a picture that lies there."""
    step = math.sqrt(abs(float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])))
    return max(0, round(math.log2(max(step, 1e-6))))


def to_level(matrix: Matrix, number: int) -> Matrix:
    """The same way, to the pixels of a halved frame."""
    share = 1 / (1 << number)
    return joined(scaled(share, share), matrix)


def sampled(image: Image, matrix: Matrix, height: int, width: int) -> Image:
    """Bilinear samples on the grid that a matrix lays over a picture."""
    x, y = (_grid(row, height, width) for row in matrix)
    places = np.empty((height, width, 2), np.int16)
    np.right_shift(x, FRACTION, out=places[..., 0], casting="unsafe")
    np.right_shift(y, FRACTION, out=places[..., 1], casting="unsafe")
    mask = np.int32((1 << FRACTION) - 1)
    x &= mask
    y &= mask
    y <<= FRACTION
    y |= x
    weights = y.astype(np.uint16)
    return np.asarray(cv2.remap(image, places, weights, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _grid(row: NDArray[np.float64], height: int, width: int) -> NDArray[np.int32]:
    """Coordinates of all pixels in 32nds, int32 (height, width): exact sums of whole steps."""
    across, down, start = (float(value) * (1 << EXACT + FRACTION) for value in row)
    half, limit = 1 << (EXACT - 1), (1 << 30) - 1  # what two of add up to an int32
    columns = np.clip(np.rint(np.arange(width) * across), -limit, limit).astype(np.int32)
    rows = np.clip(np.rint(np.arange(height) * down + start) + half, -limit, limit).astype(np.int32)
    grid = rows[:, None] + columns
    grid >>= EXACT
    return np.asarray(grid, np.int32)
