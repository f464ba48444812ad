"""Whether recorded pictures are enough: near-duplicates recognised, and how much the newest ones still add. Pure.

A picture is looked at as its colours in 32 x 32 cells: what a part, its place and its light make of it, without the
noise of single pixels. The distance of two pictures is the root mean square difference of these, in grey values.

"Enough" is the rule of the detector's own coreset: centres are chosen among the earlier pictures, each the farthest
from those before it. Their radius is the largest distance of any of these pictures to its nearest centre. When the last
twenty pictures all lie within it, they add nothing that the centres do not stand for already. That is a hint, not a
proof: what never came before the camera is not in it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

CELLS = 32
ALIKE = 1.0  # grey values: nearer is the same picture again; noise of a usual sensor is a tenth of it in cells
NEWEST = 20
CENTRES = 16
LEAST = CENTRES + 2 * NEWEST  # fewer pictures say nothing about variety


def describe(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 (CELLS * CELLS * 3,) of a picture, uint8 BGR (height, width, 3)."""
    cells = cv2.resize(image, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.float32).reshape(-1)


class Variety:
    """The pictures that were kept, in their order."""

    def __init__(self) -> None:
        self._kept: list[NDArray[np.float32]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, description: NDArray[np.float32]) -> None:
        """A picture is kept."""
        self._kept.append(description)

    def nearest(self, description: NDArray[np.float32]) -> float:
        """The distance to the most similar picture that is kept; infinite for the first."""
        if not self._kept:
            return float("inf")
        return float(_distances(np.stack(self._kept), description).min())

    def is_alike(self, description: NDArray[np.float32]) -> bool:
        """Whether it is one that is kept already."""
        return self.nearest(description) < ALIKE

    def is_enough(self) -> bool:
        """Whether the newest pictures add nothing to the radius of the earlier ones' centres."""
        if len(self._kept) < LEAST:
            return False
        earlier, newest = np.stack(self._kept[:-NEWEST]), np.stack(self._kept[-NEWEST:])
        centres, radius = _centres(earlier)
        return bool(_to_nearest(newest, centres).max() <= radius)


def _centres(pictures: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """The first CENTRES of a farthest-first traversal, and the radius that they leave."""
    chosen = [0]
    nearest = _distances(pictures, pictures[0])
    while len(chosen) < CENTRES:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, _distances(pictures, pictures[chosen[-1]]))
    return pictures[chosen], float(nearest.max())


def _to_nearest(pictures: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.min([_distances(pictures, centre) for centre in centres], axis=0), np.float32)


def _distances(pictures: NDArray[np.float32], one: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.sqrt(np.mean(np.square(pictures - one), axis=1)), np.float32)
