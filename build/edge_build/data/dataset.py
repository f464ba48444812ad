"""A folder of pictures as a dataset: found, read once, and refused with everything that is wrong with it.

Two layouts are known. MVTec's, with defects for measuring:

    train/good/*.png    test/good/*.png    test/<defect>/*.png    ground_truth/<defect>/<stem>_mask.png

or just a folder of good pictures, with or without folders in it. Detectors learn from `good`; `test` is only measured.

    dataset = scan_dataset(Path("screw"))
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_build.data.checks import ShapeProblem, check_leaks, problem_of_shapes, without_copies
from edge_build.data.pictures import GOOD, DatasetError, Picture, PictureFacts, problem_lines, read_facts
from edge_build.progress import Progress, SilentProgress
from edge_runtime.errors import PictureError
from edge_runtime.imaging.reader import PICTURE_SUFFIXES, list_pictures

MINIMUM_GOOD = 4  # one to calibrate on, and three that hold one another out
MOST_LISTED = 3  # endings of files that are not read
READ = f"{', '.join(PICTURE_SUFFIXES)} files"
_SOUNDS_BAD = {"anomaly", "anomalous", "bad", "broken", "defect", "defects", "defective", "fail", "nok", "ng"}


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
    shapes: ShapeProblem | None = None  # of the good pictures

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
    found = read_facts([*good, *test], progress or SilentProgress())
    _check_masks(root, found)
    distinct, copies = without_copies(found[: len(good)])
    check_leaks(distinct, found[len(good) :])
    if copies:
        notes = (*notes, f"left out {len(copies)} exact copies among the good pictures:\n{problem_lines(copies)}")
    if len(distinct) < MINIMUM_GOOD:
        raise DatasetError("; ".join([_too_few(root, len(distinct)), *notes]))
    notes = (*notes, *_notes_of_passed_over(root))
    counts = Counter((each.height, each.width) for each in found)
    return Dataset(
        name=root.resolve().name,
        root=root,
        good=tuple(each.picture for each in distinct),
        test=tuple(each.picture for each in found[len(good) :]),
        sizes=tuple(NativeSize(height, width, n) for (height, width), n in counts.most_common()),
        grey=all(each.grey for each in found),
        notes=notes,
        shapes=problem_of_shapes(distinct),
    )


def fingerprint(dataset: Dataset, others: Sequence[Picture] = ()) -> str:
    """SHA-256 over the sorted SHA-256 hashes of all picture files, good, test and others, in hex, one a line."""
    hashes = sorted(picture.sha256 for picture in (*dataset.good, *dataset.test, *others))
    return hashlib.sha256("".join(f"{line}\n" for line in hashes).encode()).hexdigest()


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


def _check_masks(root: Path, facts: Sequence[PictureFacts]) -> None:
    problems = [each.mask_problem for each in facts if each.mask_problem]
    if any(each.picture.mask for each in facts) or (root / "ground_truth").is_dir():
        problems += [
            f"{each.picture.path} has no mask: expected "
            f"{root / 'ground_truth' / each.picture.label / each.picture.path.stem}_mask.png"
            for each in facts
            if each.picture.label != GOOD and each.picture.mask is None
        ]
    if problems:
        masks = "1 mask is" if len(problems) == 1 else f"{len(problems)} masks are"
        raise DatasetError(
            f"{masks} missing or wrong:\n{problem_lines(problems)}\n"
            "mend them, or take ground_truth away to measure pictures only"
        )


def _too_few(root: Path, found: int) -> str:
    where = root / "train" / GOOD if (root / "train").is_dir() else root
    return (
        f"{where} has {found or 'no'} good picture{'s' if found != 1 else ''}, at least {MINIMUM_GOOD} are needed "
        f"and 100 or more are better ({', '.join([f'{READ} are read', *_passed_over(where)])})"
    )


def _notes_of_passed_over(root: Path) -> list[str]:
    """A note for each folder of pictures in which something was passed over."""
    folders = (root / "train" / GOOD, root / "test") if (root / "train").is_dir() else (root,)
    return [
        f"{folder}: {', '.join(passed_over)} ({READ} are read)"
        for folder in folders
        if (passed_over := _passed_over(folder))
    ]


def _passed_over(folder: Path) -> list[str]:
    """What `list_pictures` passes over there, counted: files by their endings, and linked folders. Not hidden ones."""
    endings: Counter[str] = Counter()
    links = 0
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links += sum(Path(place, name).is_symlink() for name in folders)
        pictures = {Path(name).stem for name in names if Path(name).suffix.lower() in PICTURE_SUFFIXES}
        endings.update(
            suffix
            for name in names
            if not name.startswith(".")
            # What `edge-daemon record` writes beside a picture is no file that somebody takes for one.
            and not ((suffix := Path(name).suffix.lower()) == ".json" and Path(name).stem in pictures)
        )
    others = [(suffix, n) for suffix, n in endings.most_common() if suffix not in PICTURE_SUFFIXES]
    listed = [
        f"{n} file{'s' * (n != 1)} {suffix or 'without ending'} not looked at" for suffix, n in others[:MOST_LISTED]
    ]
    return [*listed, f"{links} linked folder{'s' * (links != 1)} not followed"] if links else listed
