"""Masks: pictures that say where a defect is, as people save them.

White on black is the rule, and many masks break it: class numbers 1, 2, 3 that look black; JPEG, which blurs every edge
and leaves noise beside it; smoothed edges; black on white. Each is read as what it means, and said; what cannot be a
mask is refused.

    mask = read_mask_file(Path("ground_truth/dent/001_mask.png"))
    mask.defect  # bool (height, width)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.data.folder_names import MASK_ENDINGS
from edge_runtime.errors import PictureError
from edge_runtime.imaging.reader import PICTURE_SUFFIXES, list_pictures, picture_from_bytes, read_bytes

FAINT = 32  # a mask with no brighter value holds class numbers (1, 2, 3), or nothing but a JPEG's noise
NOISE = 16  # below it, a value beside white is noise and no class
FEW = 8  # a mask with so many grey values or fewer, in a file that loses nothing, was drawn with them
UNCLEAR = 0.35  # of a mask's bright pixels: more in between and it is no mask
INVERTED_AREA, INVERTED_BORDER = 0.5, 0.95  # white of all pixels, and of those on the border
SPECK, MOST_SPECKS = 2, 20  # pixels of a region that is noise, and how many such a mask may have
JPEG_START = b"\xff\xd8"


@dataclass(frozen=True)
class MaskReading:
    """How the file of a mask had to be read."""

    path: Path
    inverted: bool  # it was black on white
    soft: bool  # it has grey values between black and white
    specks: int  # regions of one or two pixels


@dataclass(frozen=True)
class Mask:
    """Where a defect is: bool (height, width)."""

    defect: NDArray[np.bool_]
    reading: MaskReading


class MaskError(PictureError):
    """A picture that cannot be a mask."""


def read_mask_file(path: Path) -> Mask:
    """The mask of a file, or of a folder with a mask for each defect of one picture. Raises PictureError."""
    if path.is_dir():
        return _joined([read_mask_file(each) for each in list_pictures(path, recursive=False)], path)
    data = read_bytes(path)
    return mask_from_picture(picture_from_bytes(data, path), data.startswith(JPEG_START), path)


def mask_from_picture(image: NDArray[np.uint8], jpeg: bool, path: Path) -> Mask:
    """The mask that a picture, uint8 BGR (height, width, 3), shows; `path` is for messages. Raises MaskError."""
    value = image.max(axis=2)
    counts = np.bincount(value.ravel(), minlength=256)
    top = int(np.flatnonzero(counts)[-1])
    few = not jpeg and np.count_nonzero(counts) <= FEW
    if top < FAINT:
        defect = np.zeros(value.shape, np.bool_) if jpeg else value > 0
    elif few:
        defect = value >= (NOISE if top >= 2 * NOISE else 1)
    else:
        defect = 2 * value.astype(np.uint16) > top
        between = int(counts[top // 4 : 3 * top // 4].sum())
        if between > UNCLEAR * max(int(counts[top // 2 :].sum()), 1) and between > 0.01 * value.size:
            raise MaskError(
                f"{path} is no mask: {np.count_nonzero(counts)} grey values, {between / value.size:.0%} of its pixels "
                "between black and white; save masks as black and white PNG"
            )
    inverted = _is_inverted(defect)
    if inverted:
        defect = ~defect
    return Mask(defect, MaskReading(path, inverted, not few and top >= FAINT, _specks(defect)))


def mask_names(folder: Path) -> dict[str, Path]:
    """The pictures of a folder, and its folders, by their names without ending in lower case: where masks are found."""
    if not folder.is_dir():
        return {}
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    found = {path.name.casefold(): path for path in files if path.is_dir()}
    return found | {path.stem.casefold(): path for path in files if path.suffix.lower() in PICTURE_SUFFIXES}


def mask_of(stem: str, names: dict[str, Path]) -> Path | None:
    """The mask of a picture called `stem`, whatever its ending, its case, and `_mask` or the like behind the name."""
    endings = ("_mask", "", *MASK_ENDINGS)
    return next((names[key] for end in endings if (key := f"{stem}{end}".casefold()) in names), None)


class MaskFinder:
    """Finds masks by their pictures' names; each folder is listed once."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, Path]] = {}

    def find(self, folder: Path, stem: str) -> Path | None:
        """The mask in `folder` of a picture called `stem`; None where there is none, or no such folder."""
        if folder not in self._names:
            self._names[folder] = mask_names(folder)
        return mask_of(stem, self._names[folder])


def mask_notes(masks: Sequence[MaskReading]) -> Iterator[str]:
    """What a person should know of how masks were read."""
    if soft := sum(mask.soft for mask in masks):
        yield (
            f"{soft} of {len(masks)} masks are not just black and white (JPEG or a smoothed edge leaves grey): what is "
            "brighter than half of the brightest counts as defect, so figures of pixels are less exact at the edges"
        )
    if inverted := [mask.path for mask in masks if mask.inverted]:
        yield (
            f"warning: {len(inverted)} of {len(masks)} masks are black on white, the first is {inverted[0]}: they are "
            "read inverted; save masks white on black"
        )
    if noisy := [mask.path for mask in masks if mask.specks > MOST_SPECKS]:
        yield (
            f"warning: {len(noisy)} of {len(masks)} masks have more than {MOST_SPECKS} specks of one or two pixels, "
            f"the first is {noisy[0]}: each counts as a defect; clean them, or figures of regions and pixels are wrong"
        )


def _joined(masks: Sequence[Mask], path: Path) -> Mask:
    if not masks:
        raise MaskError(f"{path} is a folder without masks: put one in, or take the folder away")
    if len({mask.defect.shape for mask in masks}) > 1:
        raise MaskError(f"the masks in {path} have different sizes: make them the size of their picture")
    readings = [mask.reading for mask in masks]
    reading = MaskReading(
        path,
        any(reading.inverted for reading in readings),
        any(reading.soft for reading in readings),
        sum(reading.specks for reading in readings),
    )
    return Mask(np.logical_or.reduce([mask.defect for mask in masks]), reading)


def _is_inverted(defect: NDArray[np.bool_]) -> bool:
    """Whether the white surrounds the black: no defect surrounds the rest of its picture."""
    border = np.concatenate([defect[0], defect[-1], defect[:, 0], defect[:, -1]])
    area = float(defect.mean())
    return INVERTED_AREA < area < 1 and float(border.mean()) >= INVERTED_BORDER


def _specks(defect: NDArray[np.bool_]) -> int:
    _, _, stats, _ = cv2.connectedComponentsWithStats(defect.astype(np.uint8), connectivity=8)
    return int((stats[1:, cv2.CC_STAT_AREA] <= SPECK).sum())
