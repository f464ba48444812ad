"""A folder of pictures as a dataset: found, read once, and refused with everything that is wrong with it.

Two layouts are known. MVTec's, with defects for measuring:

    train/good/*.png    test/good/*.png    test/<defect>/*.png    ground_truth/<defect>/<stem>_mask.png

or just a folder of good pictures, with or without folders in it. Detectors learn from `good`; `test` is only measured.

    dataset = scan_dataset(Path("screw"))
    images = load_prepared(dataset.good, 256, 256, progress)
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.progress import Progress, SilentProgress
from edge_runtime.errors import EdgeError, PictureError
from edge_runtime.picture_file import PICTURE_SUFFIXES, list_pictures, picture_from_bytes, read_bytes, read_picture
from edge_runtime.prepare import prepare

GOOD = "good"
MINIMUM_GOOD = 4  # one to calibrate on, and three that hold one another out
SHOWN = 10  # how many of a kind of problem are named
_SOUNDS_BAD = {"anomaly", "anomalous", "bad", "broken", "defect", "defects", "defective", "fail", "nok", "ng"}


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
class NativeSize:
    """How many pictures have this size, in pixels, as they are in the files."""

    height: int
    width: int
    pictures: int


@dataclass(frozen=True)
class Dataset:
    """Pictures in name order. `notes` are for people: what was left out and why."""

    name: str
    root: Path
    good: tuple[Picture, ...]
    test: tuple[Picture, ...]
    sizes: tuple[NativeSize, ...]  # the commonest first
    grey: bool  # no picture has colour
    notes: tuple[str, ...] = ()

    @property
    def has_masks(self) -> bool:
        """Whether pixel metrics can be measured: there are defects, and each has a mask."""
        defects = [picture for picture in self.test if picture.label != GOOD]
        return bool(defects) and all(picture.mask for picture in defects)


def scan_dataset(root: Path, progress: Progress | None = None) -> Dataset:
    """Find the pictures, read each of them, pair them with their masks, and compare them with one another.

    Exact copies (of a file, or of its pixels in another file) are left out of the good ones with a note; between good
    and test pictures they are an error, as what was learned must not be measured with.
    Raises DatasetError, which names all unreadable pictures, or all that is wrong with masks, or all copies.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder: give the folder that holds the pictures")
    try:
        good, test, notes = _find(root)
    except PictureError as error:
        raise DatasetError(str(error)) from error
    if len(good) < MINIMUM_GOOD:
        raise DatasetError(_too_few(root, len(good)))
    found = look_at_all([*good, *test], progress or SilentProgress())
    _check_masks(root, found)
    kept, copies = _without_copies(found[: len(good)])
    _check_leaks(kept, found[len(good) :])
    if copies:
        notes = (*notes, f"left out {len(copies)} exact copies among the good pictures:\n{problem_lines(copies)}")
    if len(kept) < MINIMUM_GOOD:
        raise DatasetError("; ".join([_too_few(root, len(kept)), *notes]))
    counts = Counter((look.height, look.width) for look in found)
    return Dataset(
        name=root.resolve().name,
        root=root,
        good=tuple(look.picture for look in kept),
        test=tuple(look.picture for look in found[len(good) :]),
        sizes=tuple(NativeSize(height, width, n) for (height, width), n in counts.most_common()),
        grey=all(look.grey for look in found),
        notes=notes,
    )


def fingerprint(dataset: Dataset, others: Sequence[Picture] = ()) -> str:
    """SHA-256 over the sorted SHA-256 hashes of all picture files, good, test and others, in hex, one a line."""
    hashes = sorted(picture.sha256 for picture in (*dataset.good, *dataset.test, *others))
    return hashlib.sha256("".join(f"{line}\n" for line in hashes).encode()).hexdigest()


def read_mask(picture: Picture, height: int, width: int) -> NDArray[np.bool_] | None:
    """Where the defect is, at the model's size: bool (height, width), by nearest neighbour.

    All False for a good picture; None for a defect without a mask. Raises DatasetError.
    """
    if picture.label == GOOD:
        return np.zeros((height, width), dtype=np.bool_)
    if picture.mask is None:
        return None
    mask = _mask_from_file(picture.mask).astype(np.uint8)
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST) > 0, dtype=np.bool_)


def load_prepared(pictures: Sequence[Picture], height: int, width: int, progress: Progress) -> NDArray[np.uint8]:
    """All pictures at the model's size: uint8 BGR (pictures, height, width, 3), owned by the caller.

    Raises DatasetError when a file is no longer the one that was scanned.
    """
    images = np.empty((len(pictures), height, width, 3), dtype=np.uint8)

    def load(index: int) -> None:
        picture = pictures[index]
        data = read_bytes(picture.path)
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            raise DatasetError(
                f"{picture.path} was changed since it was first read: leave the pictures alone and rerun"
            )
        images[index] = prepare(picture_from_bytes(data, picture.path), height, width)[0]

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


@dataclass(frozen=True)
class Look:
    """What reading a picture told."""

    picture: Picture
    height: int
    width: int
    grey: bool
    mask_problem: str | None


def _find(root: Path) -> tuple[list[Picture], list[Picture], tuple[str, ...]]:
    """Good and test pictures by the layout, with their masks; not read yet (`sha256` is empty)."""
    if not (root / "train").is_dir():
        if (root / "test").is_dir() or (root / "ground_truth").is_dir():
            raise DatasetError(
                f"{root} has a test or ground_truth folder but no train/good: good pictures belong there"
            )
        pictures = list_pictures(root, recursive=True)
        folders = {part for path in pictures for part in path.relative_to(root).parts[:-1]}
        if bad := sorted(name for name in folders if name.lower() in _SOUNDS_BAD):
            raise DatasetError(
                f"{root} is taken as a folder of good pictures, but has folders called {', '.join(bad)}: "
                "move good pictures to train/good and the others to test/<defect>"
            )
        return [Picture(path, GOOD, None, "") for path in pictures], [], ()
    if not (root / "train" / GOOD).is_dir():
        raise DatasetError(f"{root / 'train'} has no folder `good`: good pictures belong in train/good")
    good = [Picture(path, GOOD, None, "") for path in list_pictures(root / "train" / GOOD, recursive=True)]
    others = sorted(f.name for f in (root / "train").iterdir() if f.is_dir() and f.name != GOOD and f.name[0] != ".")
    notes = (f"nothing is learned from train/{', train/'.join(others)}",) if others else ()
    return good, _find_test(root), notes


def _find_test(root: Path) -> list[Picture]:
    if not (root / "test").is_dir():
        return []
    if loose := list_pictures(root / "test", recursive=False):
        lines = problem_lines([str(path) for path in loose])
        raise DatasetError(f"pictures belong in test/good or test/<defect>, not in test:\n{lines}")
    found = []
    for path in list_pictures(root / "test", recursive=True):
        label, *rest = path.relative_to(root / "test").parts
        folder = (root / "ground_truth" / label).joinpath(*rest[:-1])
        names = (folder / f"{path.stem}{end}{suffix}" for end in ("_mask", "") for suffix in PICTURE_SUFFIXES)
        mask = next((name for name in names if name.is_file()), None) if label != GOOD else None
        found.append(Picture(path, label, mask, ""))
    return found


def look_at_all(pictures: Sequence[Picture], progress: Progress) -> list[Look]:
    """Read all pictures and masks with threads. Raises DatasetError that names all that cannot be read."""
    looks, problems = [], []
    with ThreadPoolExecutor() as pool:
        reads = [pool.submit(_look_at, picture) for picture in pictures]
        try:
            for read in progress.track("scan", reads):
                try:
                    looks.append(read.result())
                except EdgeError as error:
                    problems.append(str(error))
        except BaseException:  # Ctrl-C: do not read the rest first
            pool.shutdown(cancel_futures=True)
            raise
    if problems:
        raise DatasetError(f"{len(problems)} of {len(pictures)} pictures cannot be used:\n" + problem_lines(problems))
    return looks


def _look_at(picture: Picture) -> Look:
    data = read_bytes(picture.path)
    image = picture_from_bytes(data, picture.path)
    height, width = image.shape[:2]
    problem = None
    if picture.mask is not None:
        mask = _mask_from_file(picture.mask)
        if mask.shape != (height, width):
            problem = f"{picture.mask} is {mask.shape[1]} x {mask.shape[0]} pixels, its picture {width} x {height}"
        elif not mask.any():
            problem = f"{picture.mask} is empty, but its picture has a defect"
    return Look(
        picture=replace(
            picture,
            sha256=hashlib.sha256(data).hexdigest(),
            pixels=hashlib.sha256(b"%d %d " % (height, width) + image.data).hexdigest(),
        ),
        height=height,
        width=width,
        grey=bool(np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 1], image[..., 2])),
        mask_problem=problem,
    )


def _mask_from_file(path: Path) -> NDArray[np.bool_]:
    """bool (height, width): whatever is not black is defect."""
    try:
        return np.asarray(read_picture(path).any(axis=2), dtype=np.bool_)
    except PictureError as error:
        raise DatasetError(f"the mask {error}") from error


def _check_masks(root: Path, looks: Sequence[Look]) -> None:
    problems = [look.mask_problem for look in looks if look.mask_problem]
    if any(look.picture.mask for look in looks) or (root / "ground_truth").is_dir():
        problems += [
            f"{look.picture.path} has no mask: expected "
            f"{root / 'ground_truth' / look.picture.label / look.picture.path.stem}_mask.png"
            for look in looks
            if look.picture.label != GOOD and look.picture.mask is None
        ]
    if problems:
        raise DatasetError(
            f"{len(problems)} masks are missing or wrong:\n{problem_lines(problems)}\n"
            "mend them, or take ground_truth away to measure pictures only"
        )


def _without_copies(looks: Sequence[Look]) -> tuple[list[Look], list[str]]:
    """The pictures without copies, and what is said of each copy left out."""
    first: dict[str, Look] = {}
    copies = []
    for look in looks:
        kept = first.setdefault(look.picture.pixels, look)
        if kept is not look:
            copies.append(f"{look.picture.path.name} is {kept.picture.path.name}")
    return list(first.values()), copies


def _check_leaks(good: Sequence[Look], test: Sequence[Look]) -> None:
    """No test picture may be a copy of a good one, nor of a test picture with another label."""
    learned = {look.picture.pixels: look.picture for look in good}
    measured: dict[str, Picture] = {}
    leaks, contradictions = [], []
    for look in test:
        same = measured.setdefault(look.picture.pixels, look.picture)
        if look.picture.pixels in learned:
            leaks.append(f"{look.picture.path} is the same picture as {learned[look.picture.pixels].path}")
        elif same.label != look.picture.label:
            contradictions.append(f"{look.picture.path} is the same picture as {same.path}")
    if leaks:
        raise DatasetError(
            f"{len(leaks)} test pictures are among those to learn from, so figures would be too good:\n"
            f"{problem_lines(leaks)}\ntake each out of one of the two"
        )
    if contradictions:
        lines = problem_lines(contradictions)
        raise DatasetError(f"{len(contradictions)} test pictures have two labels:\n{lines}\ntake the wrong one out")


def _too_few(root: Path, found: int) -> str:
    where = root / "train" / GOOD if (root / "train").is_dir() else root
    others = Counter(
        p.suffix.lower() for p in where.rglob("*") if p.is_file() and p.suffix.lower() not in PICTURE_SUFFIXES
    )
    ignored = "".join(f", {n} files {suffix or 'without ending'} not looked at" for suffix, n in others.most_common(3))
    return (
        f"{where} has {found or 'no'} good picture{'s' if found != 1 else ''}, at least {MINIMUM_GOOD} are needed "
        f"and 100 or more are better ({', '.join(PICTURE_SUFFIXES)} files are read{ignored})"
    )


def problem_lines(problems: Sequence[str]) -> str:
    """The first few, a line each, and how many more there are."""
    more = [f"  and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "\n".join([*(f"  {problem}" for problem in problems[:SHOWN]), *more])
