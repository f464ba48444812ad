"""Datasets with `train` and `test` folders, each with a folder for good parts: MVTec's, and what others made of it.

    MVTec AD      train/good, test/good, test/<defect>, ground_truth/<defect>/<name>_mask.png
    MVTec LOCO    the same, with a folder of masks for each picture: ground_truth/<defect>/<name>/*.png
    MVTec AD 2    train/good, test_public/good, test_public/bad, test_public/ground_truth/bad/<name>_mask.png
    MVTec 3D      train/good/rgb, test/<defect>/rgb, test/<defect>/gt: of each the colour pictures alone are read
    BTAD          train/ok, test/ok, test/ko, ground_truth/ko/<name>.png

The good parts' folders may have any name that says so (`ok`, `normal`, `gut`); every other folder of `test` is a kind
of defect.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_build.data.folder_names import Sound, sound_of, sound_of_path
from edge_build.data.layouts.found import Found, child, good_picture, subfolders
from edge_build.data.layouts.masks_beside import masks_among
from edge_build.data.masks import MaskFinder, mask_of
from edge_build.data.pictures import GOOD, DatasetError, Picture, problem_lines
from edge_runtime.imaging.reader import list_pictures

COLOUR = "rgb"  # of a 3D dataset: the pictures; `xyz` holds points
MASK_FOLDERS = ("ground_truth", "groundtruth", "gt", "masks", "mask", "labels")


def find_train_and_test(root: Path) -> Found | None:
    """The pictures of such a dataset; None where the folders are other ones. Raises DatasetError for a contradiction.

    There are no good pictures where `train` is missing: enough to measure, and nothing to learn from.
    """
    train, test = child(root, "train"), child(root, "test", "test_public")
    if train is None and test is None:
        return None
    masks = child(root, *MASK_FOLDERS)
    good, good_root, notes = ([], root, []) if train is None else _good_of(train)
    pictures, missing, more = ([], [], []) if test is None else _test_of(test, masks)
    unused = [name for name in ("validation", "val", "test_private", "test_private_mixed") if child(root, name)]
    notes += [f"nothing is done with {', '.join(unused)}"] if unused else []
    return Found(
        "train and test folders, as MVTec AD has them",
        tuple(good_picture(path) for path in good),
        tuple(pictures),
        good_root,
        (*([good_root] if train else []), *([test] if test else [])),
        tuple(missing),
        tuple(dict.fromkeys([*notes, *more])),
    )


def _good_of(train: Path) -> tuple[list[Path], Path, list[str]]:
    """The good pictures to learn from, the folder they are in, and notes."""
    folders = [folder for folder in subfolders(train) if sound_of(folder.name) is Sound.GOOD]
    if not folders:
        names = [f"{folder.name}/" for folder in subfolders(train)]
        loose = len(list_pictures(train, recursive=False))
        has = [*([f"{loose} pictures of its own"] if loose else []), *names]
        raise DatasetError(
            f"{train} has no folder `good` (or `ok`, `normal`), only {', '.join(has) or 'nothing'}: "
            "good pictures belong in train/good"
        )
    notes = []
    if others := [folder.name for folder in subfolders(train) if folder not in folders]:
        notes.append(f"nothing is learned from train/{', train/'.join(others)}")
    paths: list[Path] = []
    for folder in folders:
        at = _colour_of(folder, notes)
        inside = list_pictures(at, recursive=True)
        wrong = [path for path in inside if sound_of_path(path.relative_to(at).parts[:-1]) in _NOT_GOOD]
        if wrong:
            raise DatasetError(
                f"{folder} holds {len(wrong)} pictures in folders that sound of defects or masks, and would be learned "
                f"from as good:\n{problem_lines([str(path) for path in wrong])}\nmove them to test/<defect> or "
                "ground_truth/<defect>, or give their folders other names"
            )
        paths += inside
    return paths, folders[0] if len(folders) == 1 else train, notes


_NOT_GOOD = (Sound.DEFECTS, Sound.MASKS)


def _test_of(test: Path, masks: Path | None) -> tuple[list[Picture], list[str], list[str]]:
    """Test pictures with their masks, lines of missing masks, and notes."""
    if loose := list_pictures(test, recursive=False):
        lines = problem_lines([str(path) for path in loose])
        raise DatasetError(f"pictures belong in {test.name}/good or {test.name}/<defect>, not in {test.name}:\n{lines}")
    pictures: list[Picture] = []
    missing: list[str] = []
    notes: list[str] = []
    for folder in subfolders(test):
        if folder.name.casefold() in MASK_FOLDERS:
            if masks is not None and masks != folder:
                raise DatasetError(
                    f"{folder} sounds of masks, and {masks} is there, too: keep one of them, beside or in {test.name}"
                )
            masks = folder
    for folder in subfolders(test):
        if folder == masks:
            continue
        at = _colour_of(folder, notes)
        own_masks = next((each for each in subfolders(folder) if sound_of(each.name) is Sound.MASKS), None)
        label = GOOD if sound_of(folder.name) is Sound.GOOD else folder.name
        expected = own_masks or (masks / folder.name if masks else None)
        found = list(_labelled(at, label, expected))
        pictures += found
        if expected is not None and label != GOOD:
            missing += [
                f"{path} has no mask: expected {(expected / path.relative_to(at)).with_suffix('')}_mask.png"
                for path in (each.path for each in found if each.mask is None)
            ]
    return pictures, missing, notes


def _labelled(at: Path, label: str, masks: Path | None) -> Iterator[Picture]:
    """Pictures with their masks, which may lie in a folder of masks or beside them and are no pictures of parts."""
    listed = [
        path
        for path in list_pictures(at, recursive=True)
        if not any(sound_of(part) is Sound.MASKS for part in path.relative_to(at).parts[:-1])
    ]
    beside, finder = set(masks_among(listed)), MaskFinder()
    for path in listed:
        if path in beside:
            continue
        mask = None
        if label != GOOD and masks is not None:
            mask = finder.find(masks / path.relative_to(at).parent, path.stem)
        if label != GOOD and mask is None:
            mask = mask_of(path.stem, {each.stem.casefold(): each for each in beside if each.parent == path.parent})
        yield Picture(path, label, mask, "")


def _colour_of(folder: Path, notes: list[str]) -> Path:
    """Of a folder of a 3D dataset the one with the colour pictures; any other folder itself."""
    colour = child(folder, COLOUR)
    if colour is None or len(subfolders(folder)) == 1:
        return colour or folder
    notes.append("of a 3D dataset the colour pictures (rgb) are read, and neither points (xyz) nor other folders")
    return colour
