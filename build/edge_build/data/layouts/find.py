"""Which layout a folder of pictures has, tried from the one that says most of itself to the plain folder.

    found = find_pictures(Path("screw"))
    found.layout  # "train and test folders, as MVTec AD has them"

To add a layout, add a module with a function that returns None where the folders are other ones, and name it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edge_build.data.exclusion import exclude as leave_out
from edge_build.data.exclusion import exclusion_notes
from edge_build.data.layouts.found import Found, child, good_picture
from edge_build.data.layouts.masks_beside import find_masks_beside
from edge_build.data.layouts.mvtec import find_train_and_test
from edge_build.data.layouts.plain import find_plain
from edge_build.data.layouts.visa import find_visa

LAYOUTS = (find_visa, find_masks_beside, find_train_and_test)


def find_labelled(root: Path) -> Found | None:
    """Pictures of a layout that says what each shows; None for a plain folder. Raises DatasetError."""
    return next((found for layout in LAYOUTS if (found := layout(root)) is not None), None)


def find_pictures(root: Path, exclude: Sequence[str] = (), all_good: bool = False) -> Found:
    """Pictures to learn from, and to measure where the layout has some. Raises DatasetError.

    exclude: good pictures to leave out. all_good: a folder without `train` is a plain one, whatever its names say.
    """
    found = None if all_good and child(root, "train") is None else find_labelled(root)
    return find_plain(root, exclude, all_good) if found is None else _without(found, exclude)


def _without(found: Found, patterns: Sequence[str]) -> Found:
    kept, left_out = leave_out([picture.path for picture in found.good], found.good_root, patterns)
    good = tuple(good_picture(path) for path in kept)
    return replace(found, good=good, notes=(*found.notes, *exclusion_notes(left_out, found.good_root)))
