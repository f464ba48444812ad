"""Datasets in which a picture's mask lies beside it; an empty mask says that the part is good.

    KolektorSDD2  train/10000.png with train/10000_GT.png, test/20000.png with test/20000_GT.png
    KolektorSDD   kos01/Part0.jpg with kos01/Part0_label.bmp
    DAGM 2007     Train/0576.PNG with Train/Label/0576_label.PNG for defects alone, Test likewise
    MTD           MT_Free/Imgs/*.jpg with *.png beside, MT_Crack/Imgs/*.jpg with *.png, ...

Without folders for training and test, all good pictures are learned from, and the defects are measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_build.data.folder_names import Sound, mask_ending, sound_of, sound_of_path
from edge_build.data.layouts.found import Found, child, good_picture
from edge_build.data.masks import MaskError, mask_names, mask_of, read_mask_file
from edge_build.data.pictures import GOOD, DatasetError, Picture, problem_lines
from edge_runtime.errors import PictureError
from edge_runtime.imaging.reader import list_pictures

DEFECT = "defect"
_LOSSY, _EXACT = (".jpg", ".jpeg"), (".png", ".bmp")  # of one name: the picture and its mask


@dataclass(frozen=True)
class _Pair:
    picture: Path
    mask: Path | None


def find_masks_beside(root: Path) -> Found | None:
    """The pictures of such a dataset; None where there are no masks beside pictures. Raises DatasetError."""
    train, test = child(root, "train"), child(root, "test")
    if train is not None and (not list_pictures(train, recursive=False) or test is None):
        return None
    pairs = _pairs(train or root)
    if not any(pair.mask for pair in pairs):
        return None
    layout = "masks beside the pictures"
    learned = [_labelled(pair, train or root) for pair in pairs]
    if train is None or any(pair.mask and each.label == GOOD for pair, each in zip(pairs, learned, strict=True)):
        _refuse_unlabelled(train or root, pairs)
    good = tuple(good_picture(each.path) for each in learned if each.label == GOOD)
    defects = [each for each in learned if each.label != GOOD]
    notes = _empty_masks(defects)
    if train is None or test is None:
        notes.append("no good pictures to measure with: all of them are learned from")
        return Found(layout, good, tuple(defects), root, (root,), (), tuple(notes))
    if defects:
        notes.append(f"nothing is learned from the {len(defects)} pictures in {train.name} with a defect in their mask")
    for_test = _pairs(test)
    measured = tuple(_labelled(pair, test) for pair in for_test)
    if any(pair.mask and each.label == GOOD for pair, each in zip(for_test, measured, strict=True)):
        _refuse_unlabelled(test, for_test)
    notes += _empty_masks(measured)
    return Found(layout, good, measured, train, (train, test), (), tuple(notes))


def masks_among(paths: Sequence[Path]) -> list[Path]:
    """The files that are the mask of another one, by their names: `1_mask.png`, with `1.png` beside it."""
    names = {(path.parent, path.stem.casefold()) for path in paths}
    return [
        path
        for path in paths
        if (ending := mask_ending(path.stem)) and (path.parent, path.stem[: -len(ending)].casefold()) in names
    ]


def _pairs(folder: Path) -> list[_Pair]:
    """The pictures of a folder, with or without a mask; the masks are none of them."""
    paths = [
        path
        for path in list_pictures(folder, recursive=True)
        if not any(sound_of(part) is Sound.MASKS for part in path.relative_to(folder).parts[:-1])
    ]
    by_name: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        by_name.setdefault((path.parent, path.stem.casefold()), []).append(path)
    masks = set(masks_among(paths)) | {mask for twins in by_name.values() if (mask := _exact_twin(twins))}
    pairs, names = [], {}
    for path in paths:
        if path in masks:
            continue
        beside = _exact_twin(by_name[path.parent, path.stem.casefold()])
        at = path.parent
        if at not in names:
            inside = child(at, "label", "labels", "ground_truth", "gt", "mask", "masks")
            known = {mask.stem.casefold(): mask for mask in masks if mask.parent == at and mask_ending(mask.stem)}
            names[at] = known | (mask_names(inside) if inside else {})
        pairs.append(_Pair(path, beside or mask_of(path.stem, {k: v for k, v in names[at].items() if v != path})))
    return pairs


def _exact_twin(twins: Sequence[Path]) -> Path | None:
    """Of `1.jpg` and `1.png` the second one, if it can be a mask."""
    lossy = [path for path in twins if path.suffix.lower() in _LOSSY]
    exact = [path for path in twins if path.suffix.lower() in _EXACT]
    if len(lossy) != 1 or len(exact) != 1:
        return None
    try:
        read_mask_file(exact[0])
    except MaskError:
        return None
    except PictureError as error:
        raise DatasetError(f"the mask {error}") from error
    return exact[0]


def _labelled(pair: _Pair, root: Path) -> Picture:
    """A picture by its mask; where that is empty or missing, by the names of its folders."""
    folders = pair.picture.relative_to(root).parts[:-1]
    sound = sound_of_path(folders)
    label = folders[0] if folders and sound is not Sound.GOOD else DEFECT
    try:
        marked = pair.mask is not None and read_mask_file(pair.mask).defect.any()
    except PictureError as error:
        raise DatasetError(f"the mask {error}") from error
    if marked and sound is Sound.GOOD:
        raise DatasetError(
            f"{pair.picture} is in a folder of good parts, and its mask {pair.mask} marks a defect: move the picture, "
            "or empty the mask"
        )
    if marked:
        return Picture(pair.picture, label if sound is Sound.DEFECTS else DEFECT, pair.mask, "")
    return Picture(pair.picture, label if sound is Sound.DEFECTS else GOOD, None, "")


def _refuse_unlabelled(root: Path, pairs: Sequence[_Pair]) -> None:
    """Where good parts have an empty mask, nothing says what a picture without one shows, but its folder's name."""
    unknown = [
        str(pair.picture)
        for pair in pairs
        if pair.mask is None and sound_of_path(pair.picture.relative_to(root).parts[:-1]) is Sound.NOTHING
    ]
    if unknown:
        raise DatasetError(
            f"{len(unknown)} of {len(pairs)} pictures in {root} have no mask beside them, as the others have, so "
            f"nothing says whether they show good parts:\n{problem_lines(unknown)}\ngive each a mask (black for a good "
            "part), or put good pictures in train/good and the others in test/<defect>"
        )


def _empty_masks(pictures: Sequence[Picture]) -> list[str]:
    names = [str(picture.path) for picture in pictures if picture.label != GOOD and picture.mask is None]
    if not names:
        return []
    return [f"warning: {len(names)} defects have an empty mask or none, the first is {names[0]}"]
