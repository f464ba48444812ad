"""Pictures of parts as files: each is read once to know it, and again, at the model's size, to learn from or measure.

facts = read_facts([Picture(path, GOOD, None, "")], progress)
prepared = PreparedPictures([each.picture for each in facts], viewer, progress)
prepared.of(splits.folds[0])  # uint8 (n, 256, 256, 3)
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.data.damage import damage_of, is_black, looks_like_mask, lost_share
from edge_build.data.masks import MaskError, MaskReading, read_mask_file
from edge_build.progress import Progress
from edge_runtime.errors import EdgeError, PictureError
from edge_runtime.imaging.reader import picture_from_bytes, read_bytes
from edge_runtime.imaging.see import FrameViewer

GOOD = "good"
SHOWN = 10  # how many of a kind of problem are named


class DatasetError(EdgeError):
    """A folder of pictures that cannot be learned from or measured with."""


@dataclass(frozen=True)
class Picture:
    """A picture that was read once. `label` is "good" or the defect's folder.

    sha256: of the file. pixels: of the decoded pixels and their shape, the same for a copy in another file.
    """

    path: Path
    label: str
    mask: Path | None
    sha256: str
    pixels: str = ""


@dataclass(frozen=True)
class PictureFacts:
    """What is known of a picture once it was read: its size in pixels, whether it has colour, what its mask lacks.

    mask: how the mask was read, for notes. mask_like: it looks like a mask itself. damage: what speaks against its
    data, None for nothing. lost: share of its rows, in one piece, that look like lost data.
    """

    picture: Picture
    height: int
    width: int
    grey: bool
    mask_problem: str | None
    mask: MaskReading | None = None
    mask_like: bool = False
    damage: str | None = None
    lost: float = 0.0


def read_facts(pictures: Sequence[Picture], progress: Progress) -> list[PictureFacts]:
    """Read all pictures and masks with threads. Raises DatasetError that names all that cannot be read."""
    facts, problems = [], []
    with ThreadPoolExecutor() as pool:
        reads = [pool.submit(_facts_of, picture) for picture in pictures]
        try:
            for read in progress.track("scan", reads):
                try:
                    facts.append(read.result())
                except EdgeError as error:
                    problems.append(str(error))
        except BaseException:  # Ctrl-C: do not read the rest first
            pool.shutdown(cancel_futures=True)
            raise
    if problems:
        raise DatasetError(f"{len(problems)} of {len(pictures)} pictures cannot be used:\n" + problem_lines(problems))
    return facts


def _facts_of(picture: Picture) -> PictureFacts:
    data = read_bytes(picture.path)
    image = picture_from_bytes(data, picture.path)
    height, width = image.shape[:2]
    problem, mask = (None, None) if picture.mask is None else _mask_facts(picture.mask, height, width)
    damage = "it is all black" if is_black(image) else damage_of(data)
    return PictureFacts(
        picture=replace(
            picture,
            sha256=hashlib.sha256(data).hexdigest(),
            pixels=hashlib.sha256(b"%d %d " % (height, width) + image.data).hexdigest(),
        ),
        height=height,
        width=width,
        grey=bool(np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 1], image[..., 2])),
        mask_problem=problem,
        mask=mask,
        mask_like=looks_like_mask(image),
        damage=damage,
        lost=lost_share(image),
    )


def _mask_facts(path: Path, height: int, width: int) -> tuple[str | None, MaskReading | None]:
    """What is wrong with a mask, and how it was read."""
    try:
        mask = read_mask_file(path)
    except MaskError as error:
        return str(error), None
    except PictureError as error:
        raise DatasetError(f"the mask {error}") from error
    if mask.defect.shape != (height, width):
        found_height, found_width = mask.defect.shape
        return f"{path} is {found_width} x {found_height} pixels, its picture {width} x {height}", mask.reading
    problem = None if mask.defect.any() else f"{path} is empty, but its picture has a defect"
    return problem, mask.reading


def read_mask(picture: Picture, height: int, width: int) -> NDArray[np.bool_] | None:
    """Where the defect is, at the model's size: bool (height, width), by nearest neighbour.

    All False for a good picture; None for a defect without a mask. Raises DatasetError.
    """
    if picture.label == GOOD:
        return np.zeros((height, width), dtype=np.bool_)
    if picture.mask is None:
        return None
    try:
        mask = read_mask_file(picture.mask).defect.astype(np.uint8)
    except PictureError as error:
        raise DatasetError(f"the mask {error}") from error
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST) > 0, dtype=np.bool_)


def load_prepared(pictures: Sequence[Picture], viewer: FrameViewer, progress: Progress) -> NDArray[np.uint8]:
    """All pictures as the model sees them: uint8 BGR (pictures, height, width, 3), owned by the caller.

    Raises DatasetError when a file is no longer the one that was scanned.
    """
    images = np.empty((len(pictures), viewer.height, viewer.width, 3), dtype=np.uint8)

    def load(index: int) -> None:
        picture = pictures[index]
        data = read_bytes(picture.path)
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            raise DatasetError(
                f"{picture.path} was changed since it was first read: leave the pictures alone and rerun"
            )
        images[index] = viewer.see(picture_from_bytes(data, picture.path)).picture

    # OpenCV lets go of Python's lock while it decodes, so threads are enough.
    with ThreadPoolExecutor() as pool:
        loads = [pool.submit(load, index) for index in range(len(pictures))]
        try:
            for done in progress.track("pictures", loads):
                done.result()
        except BaseException as error:  # Ctrl-C too: do not load the rest first
            pool.shutdown(cancel_futures=True)
            if isinstance(error, PictureError):
                raise DatasetError(str(error)) from error
            raise
    return images


class PreparedPictures:
    """Pictures at the model's size, by picture."""

    def __init__(self, pictures: Sequence[Picture], viewer: FrameViewer, progress: Progress) -> None:
        """Read all of them once. Raises DatasetError when a file is no longer the one that was scanned."""
        self._images = load_prepared(pictures, viewer, progress)
        self._row = {picture: row for row, picture in enumerate(pictures)}

    def without(self, pictures: Collection[Picture]) -> PreparedPictures:
        """All but some of them."""
        kept = [picture for picture in self._row if picture not in pictures]
        fewer = copy(self)
        fewer._images, fewer._row = self.of(kept), {picture: row for row, picture in enumerate(kept)}
        return fewer

    def all(self) -> NDArray[np.uint8]:
        """Uint8 BGR (n, H, W, 3)."""
        return self._images

    def rows(self, pictures: Sequence[Picture]) -> list[int]:
        """Row numbers in `all()`, in the order of `pictures`."""
        return [self._row[picture] for picture in pictures]

    def of(self, pictures: Sequence[Picture]) -> NDArray[np.uint8]:
        """A copy of some of them, uint8 BGR (len(pictures), H, W, 3)."""
        return self._images[self.rows(pictures)]


def problem_lines(problems: Sequence[str]) -> str:
    """The first few, a line each, and how many more there are."""
    more = [f"  and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "\n".join([*(f"  {problem}" for problem in problems[:SHOWN]), *more])
