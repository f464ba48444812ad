"""CPR-Faster's steps, written down naively, one cell and one reference at a time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def naive_histogram(fine: Array, codebook: Array) -> Array:
    """Shares of the codes in each of 5x5 blocks, (25, codes); fine: (C, h, w), h and w multiples of 5."""
    _, height, width = fine.shape
    shares = np.zeros((25, len(codebook)))
    for y in range(height):
        for x in range(width):
            code = int(((codebook - fine[:, y, x]) ** 2).sum(1).argmin())
            shares[y * 5 // height * 5 + x * 5 // width, code] += 25 / (height * width)
    return shares


def naive_divergence(own: Array, reference: Array) -> float:
    """KL over blocks without the five worst."""
    blocks = [
        sum(q * math.log((q + 1e-8) / (r + 1e-8)) for q, r in zip(mine, theirs, strict=True))
        for mine, theirs in zip(own, reference, strict=True)
    ]
    return sum(sorted(blocks)[:-5])


def naive_distances(cells: Array, directions: Array, scales: Array, reach: int) -> Array:
    """Scaled 1 - cosine to the nearest cell within reach of any reference.

    cells: (d, h, w). directions: (k, d, h, w), of unit length. scales: (k, h, w).
    """
    _, height, width = cells.shape
    found = np.full((height, width), 2.0)
    for y in range(height):
        for x in range(width):
            for other, scale in zip(directions, scales, strict=True):
                for v in range(max(0, y - reach), min(height, y + reach + 1)):
                    for u in range(max(0, x - reach), min(width, x + reach + 1)):
                        distance = scale[v, u] * (1 - float(cells[:, y, x] @ other[:, v, u]))
                        found[y, x] = min(found[y, x], distance)
    return found
