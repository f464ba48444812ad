"""A plain folder: all pictures in it show good parts, unless a name says something else of some of them.

Then nothing is learned, for a defect or a mask that is learned as good lets every like it pass: the folders are named
with their counts, and the person decides (`all_good` in a recipe).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from edge_build.data.exclusion import exclude, exclusion_notes
from edge_build.data.folder_names import Sound, is_part_of_a_dataset, is_short, is_test_folder, sound_of, sound_of_path
from edge_build.data.layouts.found import Found, child, good_picture
from edge_build.data.layouts.masks_beside import masks_among
from edge_build.data.layouts.mvtec import MASK_FOLDERS
from edge_build.data.pictures import DatasetError, problem_lines
from edge_runtime.imaging.reader import list_pictures

ALL_GOOD = "if all of them show good parts, say so: `all_good: true` in the recipe, `edge-build init --all-good`"
CHOICE = (
    "give the folder of good pictures alone, or put them in train/good and the others in test/<defect>; " + ALL_GOOD
)


def find_plain(root: Path, patterns: Sequence[str] = (), all_good: bool = False) -> Found:
    """Every picture below `root` but those that fit a pattern of `exclude`, as good. Raises DatasetError.

    all_good: whatever names say.
    """
    paths, left_out = exclude(list_pictures(root, recursive=True), root, patterns)
    notes = exclusion_notes(left_out, root)
    if not all_good:
        _refuse_place(root.resolve())
        _refuse_names(root, paths)
    else:
        notes.append("all_good: every picture is taken as that of a good part, whatever its folder is called")
    counts = _counts(root, paths)
    if len(counts) > 1:
        notes.append(f"good pictures by folder: {', '.join(f'{n} in {name}' for name, n in counts.items())}")
    return Found(
        "a folder of good pictures", tuple(good_picture(path) for path in paths), (), root, (root,), (), tuple(notes)
    )


def _refuse_place(place: Path) -> None:
    """The folder's own name, and where it stands in a dataset."""
    dataset = place.parent.parent
    in_test = is_test_folder(place.parent.name) and child(dataset, "train", *MASK_FOLDERS) is not None
    sound = sound_of(place.name)
    if is_test_folder(place.name):
        what = "is called like a dataset's test pictures, which hold defects"
    elif in_test and sound is not Sound.GOOD:
        what = f"is one of the test folders of {dataset}"
    elif sound in (Sound.DEFECTS, Sound.MASKS) and is_short(place.name):
        what = f"sounds of {sound.value}"
    else:
        return
    raise DatasetError(f"{place} {what}, and would be learned from as good: {CHOICE}")


def _refuse_names(root: Path, paths: Sequence[Path]) -> None:
    """The names of folders and of masks that lie beside their pictures."""
    if beside := masks_among(paths):
        lines = problem_lines([str(path) for path in beside])
        raise DatasetError(
            f"{root} is taken as a folder of good pictures, but {len(beside)} of {len(paths)} are called like the mask "
            f"of another:\n{lines}\nmove the masks elsewhere; {ALL_GOOD}"
        )
    folders = {path: path.relative_to(root).parts[:-1] for path in paths}
    parts = sorted({part for inside in folders.values() for part in inside if is_part_of_a_dataset(part)})
    if parts:
        raise DatasetError(
            f"{root} is taken as a folder of good pictures, but has folders called {', '.join(parts)} in it, like one "
            f"dataset or several: give the one to learn from; {ALL_GOOD}"
        )
    sounds = {path: sound_of_path(inside) for path, inside in folders.items()}
    found = set(sounds.values())
    if not found & {Sound.DEFECTS, Sound.MASKS} and found != {Sound.GOOD, Sound.NOTHING}:
        return
    raise DatasetError(
        f"{root} is taken as a folder of good pictures, but not all of its folders sound of good parts:\n"
        f"{problem_lines(_listed(root, paths))}\n{CHOICE}"
    )


def _listed(root: Path, paths: Sequence[Path]) -> list[str]:
    """`abnormal: 3 pictures, sounds of defects`, for each folder with pictures."""
    counts = Counter(path.parent.relative_to(root) for path in paths)
    lines = []
    for folder, n in counts.items():
        sound = sound_of_path(folder.parts)
        said = "" if sound is Sound.NOTHING else f", sounds of {sound.value}"
        lines.append(f"{folder if folder.parts else 'beside the folders'}: {n} picture{'s' * (n != 1)}{said}")
    return lines


def _counts(root: Path, paths: Sequence[Path]) -> dict[str, int]:
    """How many pictures each folder right below the root has; those of its own under `.`."""
    inside = [path.relative_to(root).parts for path in paths]
    return dict(Counter(parts[0] if len(parts) > 1 else "." for parts in inside))
