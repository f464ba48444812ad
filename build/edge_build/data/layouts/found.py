"""What a layout makes of a folder: which pictures show good parts, which are for measuring, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edge_build.data.pictures import GOOD, Picture


@dataclass(frozen=True)
class Found:
    """Pictures by a layout, not read yet (their hashes are empty), good and test each in name order.

    layout: its name, for people. good_root: what names of good pictures are relative to (`exclude` in a recipe).
    looked_in: the folders whose pictures were listed. missing_masks: a line for each defect without one where there
    should be one. notes: for people.
    """

    layout: str
    good: tuple[Picture, ...]
    test: tuple[Picture, ...]
    good_root: Path
    looked_in: tuple[Path, ...]
    missing_masks: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def good_picture(path: Path) -> Picture:
    """A picture that shows a good part."""
    return Picture(path, GOOD, None, "")


def child(folder: Path, *names: str) -> Path | None:
    """The folder in `folder` with one of these names, whatever its case; the first name that is there."""
    folders = {path.name.casefold(): path for path in subfolders(folder)}
    return next((folders[name] for name in names if name in folders), None)


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, in name order; hidden and linked ones are left out, as `list_pictures` does."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink() and path.name[0] != ".")
