"""Pictures that decode and yet show no part as the camera saw it: masks, black frames, and files with lost data.

A JPEG carries no checksum. Its decoder fills what is lost and goes on, and so does a BMP or TIFF whose last blocks were
never written: half of the part is there, above zeros. Learned as good, one such picture lifts the threshold above
defects. The host's decoder is stricter than the device's, which must answer at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from edge_build.data.masks import JPEG_START

BLACK = 8  # a picture with no brighter value shows nothing
NEAR = 8  # grey values this near to black or white are those, after JPEG
TWO_TONED = 0.98  # share of a mask's pixels that are black or white
LEAST_LOST = 0.02  # share of a picture's rows, in one piece, that look like lost data
COMMON = 0.5  # share of the pictures that have as many such rows: then it is what the camera sees
_FILLS = (0, 128)  # what readers put where data is missing
_HARMLESS = "extraneous bytes before marker 0xd9"  # padding at the end, as some cameras write it


def damage_of(data: bytes) -> str | None:
    """What a strict decoder has against the bytes of a JPEG; None for a sound one, and for other kinds of files."""
    if not data.startswith(JPEG_START):
        return None
    try:
        simplejpeg.decode_jpeg(data, "GRAY", fastdct=True, min_factor=8, strict=True)
    except ValueError as error:
        reason = str(error).strip()
        return None if _HARMLESS in reason else reason
    return None


def looks_like_mask(image: NDArray[np.uint8]) -> bool:
    """Whether a picture, uint8 BGR (height, width, 3), is grey and nothing but black and white."""
    if not (np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 1], image[..., 2])):
        return False
    counts = np.bincount(image[..., 0].ravel(), minlength=256)
    black, white = int(counts[: NEAR + 1].sum()), int(counts[255 - NEAR :].sum())
    return black > 0 and white > 0 and black + white >= TWO_TONED * image[..., 0].size


def is_black(image: NDArray[np.uint8]) -> bool:
    """Whether a picture shows nothing: no value above BLACK. A mask of class numbers looks like that, too."""
    return bool(image.max() <= BLACK)


def lost_share(image: NDArray[np.uint8]) -> float:
    """The largest share of rows in one piece, 0 to 1, in which every value is the same fill."""
    longest = 0
    for fill in _FILLS:
        rows = (image[:, ::16] == fill).all(axis=(1, 2))  # most rows are out by a few of their pixels
        rows[rows] = (image[rows] == fill).all(axis=(1, 2))
        ends = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(np.int8)))
        longest = max(longest, int((ends[1::2] - ends[::2]).max(initial=0)))
    return float(longest / image.shape[0])


def lost_ones(shares: Sequence[float]) -> list[bool]:
    """Which pictures have lost rows, by `lost_share` of each: most of the others have no such rows."""
    return [
        share >= LEAST_LOST and sum(other >= share / 2 for other in shares) < max(2, COMMON * len(shares))
        for share in shares
    ]
