"""A folder of pictures as a dataset: found, read once, and refused with everything that is wrong with it.

Layouts are known by their folders (`data/layouts`): MVTec's and its kin, VisA's, masks beside the pictures, and a plain
folder of good pictures. Detectors learn from `good`; `test` is only measured.

    dataset = scan_dataset(Path("screw"))
    pictures = scan_test(Path("screw"))
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_build.data.checks import (
    ShapeProblem,
    check_leaks,
    problem_of_shapes,
    refuse_masks,
    without_copies,
    without_damaged,
)
from edge_build.data.folder_names import Sound, is_test_folder, sound_of
from edge_build.data.layouts.find import find_labelled, find_pictures
from edge_build.data.layouts.found import Found, subfolders
from edge_build.data.layouts.named import NamedFolders, find_named
from edge_build.data.masks import mask_notes
from edge_build.data.pictures import GOOD, DatasetError, Picture, PictureFacts, problem_lines, read_facts
from edge_build.progress import Progress, SilentProgress
from edge_runtime.errors import PictureError
from edge_runtime.imaging.reader import PICTURE_SUFFIXES, list_pictures

MINIMUM_GOOD = 4  # one to calibrate on, and three that hold one another out
MOST_LISTED = 3  # endings of files that are not read
READ = f"{', '.join(PICTURE_SUFFIXES)} files"


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
    layout: str = ""  # how it was known what each picture shows, for people
    shapes: ShapeProblem | None = None  # of the good pictures

    @property
    def has_masks(self) -> bool:
        """Whether pixel metrics can be measured: there are defects, and each has a mask."""
        defects = [picture for picture in self.test if picture.label != GOOD]
        return bool(defects) and all(picture.mask for picture in defects)


def scan_dataset(
    root: Path, progress: Progress | None = None, exclude: Sequence[str] = (), all_good: bool = False
) -> Dataset:
    """Find the pictures, read each of them, pair them with their masks, and compare them with one another.

    exclude: names or globs of good pictures to leave out. all_good: a plain folder holds good pictures, whatever names
    and pictures look like. Exact copies (of a file, or of its pixels in another file) are left out of the good ones
    with a note, and so are damaged files; between good and test pictures copies are an error, as what was learned must
    not be measured with.
    Raises DatasetError, which names all unreadable pictures, or all that is wrong with masks, or all copies.
    """
    found = _found(root, lambda: find_pictures(root, exclude, all_good))
    if not found.good and found.test:
        raise DatasetError(f"{root} has a test or ground_truth folder but no train/good: good pictures belong there")
    if len(found.good) < MINIMUM_GOOD:
        raise DatasetError(_too_few(found.good_root, len(found.good)))
    facts = _read(found, progress)
    good, test = facts[: len(found.good)], facts[len(found.good) :]
    if not all_good:
        refuse_masks(good, found.good_root)
    sound, damaged = without_damaged(good)
    distinct, copies = without_copies(sound)
    check_leaks(distinct, test)
    notes = found.notes
    if damaged:
        notes = (*notes, f"warning: left out {len(damaged)} good pictures that are damaged:\n{problem_lines(damaged)}")
    if copies:
        notes = (*notes, f"left out {len(copies)} exact copies among the good pictures:\n{problem_lines(copies)}")
    if len(distinct) < MINIMUM_GOOD:
        raise DatasetError("; ".join([_too_few(found.good_root, len(distinct)), *notes]))
    return _dataset(root, found, distinct, test, notes)


def scan_test(root: Path, progress: Progress | None = None) -> Dataset:
    """The same to measure: the layout must say what each picture shows, and no good pictures to learn from are needed.

    Raises DatasetError for a plain folder, as nothing says whether its pictures show good parts or defects.
    """
    found = _found(root, lambda: find_labelled(root))
    facts = _read(found, progress)
    good, test = facts[: len(found.good)], facts[len(found.good) :]
    check_leaks(good, test)
    return _dataset(root, found, good, test, found.notes)


def scan_named(folders: NamedFolders, progress: Progress | None = None) -> Dataset:
    """The pictures of folders that the person named, to measure; `good` is empty. Raises DatasetError, ConfigError."""
    found = find_named(folders)
    root = found.looked_in[0] if len(found.looked_in) == 1 else Path(os.path.commonpath(found.looked_in))
    if not found.test:
        raise DatasetError(f"no pictures in {', '.join(map(str, found.looked_in))} ({READ} are read)")
    facts = _read(found, progress)
    check_leaks((), facts)
    return _dataset(root, found, (), facts, found.notes)


def _found(root: Path, find: Callable[[], Found | None]) -> Found:
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder: give the folder that holds the pictures")
    try:
        found = find()
    except PictureError as error:
        raise DatasetError(str(error)) from error
    if found is None or not (found.good or found.test):
        if found is None and list_pictures(root, recursive=True):
            raise DatasetError(_cannot_tell(root))
        raise DatasetError(_too_few(root, 0))
    return found


def _cannot_tell(root: Path) -> str:
    """What to do about a folder to measure whose pictures may show anything."""
    folders = [path for path in subfolders(root) if list_pictures(path, recursive=True)]
    good = [path for path in folders if sound_of(path.name) is Sound.GOOD]
    bad = [path for path in folders if sound_of(path.name) not in (Sound.GOOD, Sound.MASKS)]
    masks = [path for path in folders if sound_of(path.name) is Sound.MASKS]
    named = [f"--good {good[0] if good else 'DIR'}", *(f"--defects {path}" for path in bad if good)]
    named += [] if bad and good else ["--defects DIR"]
    named += [f"--masks {masks[0]}"] if masks else []
    text = f"nothing says which pictures in {root} show good parts and which defects: say it, as in `{' '.join(named)}`"
    if is_test_folder(root.name):
        return f"{text}, or give the dataset that {root.name} belongs to, {root.resolve().parent}"
    return f"{text}, or put them in test/good and test/<defect>"


def _read(found: Found, progress: Progress | None) -> list[PictureFacts]:
    """Facts of the good and then the test pictures. Raises DatasetError for pictures and masks that cannot be used."""
    facts = read_facts([*found.good, *found.test], progress or SilentProgress())
    problems = [*(each.mask_problem for each in facts if each.mask_problem), *found.missing_masks]
    if problems:
        masks = "1 mask is" if len(problems) == 1 else f"{len(problems)} masks are"
        raise DatasetError(
            f"{masks} missing or wrong:\n{problem_lines(problems)}\n"
            "mend them, or take all masks away to measure pictures only"
        )
    return facts


def _dataset(
    root: Path, found: Found, good: Sequence[PictureFacts], test: Sequence[PictureFacts], notes: Sequence[str]
) -> Dataset:
    masks = [each.mask for each in test if each.mask is not None]
    _, damaged = without_damaged(test)
    warning = f"warning: {len(damaged)} test pictures are damaged, and are measured:\n{problem_lines(damaged)}"
    facts = [*good, *test]
    counts = Counter((each.height, each.width) for each in facts)
    return Dataset(
        name=root.resolve().name,
        root=root,
        layout=found.layout,
        good=tuple(each.picture for each in good),
        test=tuple(each.picture for each in test),
        sizes=tuple(NativeSize(height, width, n) for (height, width), n in counts.most_common()),
        grey=all(each.grey for each in facts),
        notes=(*notes, *mask_notes(masks), *([warning] if damaged else []), *_notes_of_passed_over(found.looked_in)),
        shapes=problem_of_shapes(good) if good else None,
    )


def fingerprint(dataset: Dataset, others: Sequence[Picture] = ()) -> str:
    """SHA-256 over the sorted SHA-256 hashes of all picture files, good, test and others, in hex, one a line."""
    hashes = sorted(picture.sha256 for picture in (*dataset.good, *dataset.test, *others))
    return hashlib.sha256("".join(f"{line}\n" for line in hashes).encode()).hexdigest()


def _too_few(where: Path, found: int) -> str:
    return (
        f"{where} has {found or 'no'} good picture{'s' if found != 1 else ''}, at least {MINIMUM_GOOD} are needed "
        f"and 100 or more are better ({', '.join([f'{READ} are read', *_passed_over(where)])})"
    )


def _notes_of_passed_over(folders: Sequence[Path]) -> list[str]:
    """A note for each folder of pictures in which something was passed over."""
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
