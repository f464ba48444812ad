"""Folders that the person named: these pictures show good parts, those show defects, and there are their masks.

Kinds of defects are the folders within one of defects; a folder without any is a kind itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_build.data.folder_names import Sound, sound_of_path
from edge_build.data.layouts.found import Found
from edge_build.data.layouts.masks_beside import masks_among
from edge_build.data.masks import MaskFinder, mask_of
from edge_build.data.pictures import GOOD, DatasetError, Picture, problem_lines
from edge_runtime.errors import ConfigError
from edge_runtime.imaging.reader import list_pictures


@dataclass(frozen=True)
class NamedFolders:
    """Good parts and defects to measure, and the defects' masks in folders as theirs, or all in one."""

    good: Path | None = None
    defects: tuple[Path, ...] = ()
    masks: Path | None = None

    def __str__(self) -> str:
        return ", ".join(str(folder) for folder in (self.good, *self.defects) if folder is not None)

    def __bool__(self) -> bool:
        return self.good is not None or bool(self.defects) or self.masks is not None


def find_named(folders: NamedFolders) -> Found:
    """The pictures of these folders, all for measuring. Raises DatasetError, ConfigError for masks of nothing."""
    if folders.masks is not None and not folders.defects:
        raise ConfigError("--masks are those of --defects DIR: give both")
    looked_in = (*([folders.good] if folders.good else []), *folders.defects)
    for folder in (*looked_in, *([folders.masks] if folders.masks else [])):
        if not folder.is_dir():
            raise DatasetError(f"{folder} is not a folder: give the folder that holds the pictures")
    test = [] if folders.good is None else _good(folders.good)
    for folder in folders.defects:
        test += _defects(folder, folders.masks)
    missing = [
        f"{each.path} has no mask: expected {folders.masks / each.path.stem}_mask.png"
        for each in test
        if folders.masks is not None and each.label != GOOD and each.mask is None
    ]
    return Found("folders as they were named", (), tuple(test), looked_in[0], looked_in, tuple(missing))


def _good(folder: Path) -> list[Picture]:
    paths = list_pictures(folder, recursive=True)
    wrong = {path for path in paths if _sound(path, folder) in (Sound.DEFECTS, Sound.MASKS)} | set(masks_among(paths))
    if wrong:
        raise DatasetError(
            f"--good {folder} holds {len(wrong)} pictures that sound of defects or masks:\n"
            f"{problem_lines(sorted(str(path) for path in wrong))}\ngive the folder of good pictures alone"
        )
    return [Picture(path, GOOD, None, "") for path in paths]


def _defects(folder: Path, masks: Path | None) -> list[Picture]:
    paths = [path for path in list_pictures(folder, recursive=True) if _sound(path, folder) is not Sound.MASKS]
    if wrong := [str(path) for path in paths if _sound(path, folder) is Sound.GOOD]:
        raise DatasetError(
            f"--defects {folder} holds {len(wrong)} pictures in folders that sound of good parts:\n"
            f"{problem_lines(wrong)}\ngive the folders of defects (--defects may be given again), and these to --good"
        )
    beside, finder = set(masks_among(paths)), MaskFinder()
    found = []
    for path in paths:
        if path in beside:
            continue
        inside = path.relative_to(folder)
        mask = mask_of(path.stem, {each.stem.casefold(): each for each in beside if each.parent == path.parent})
        places = [] if masks is None else [masks / inside.parent, masks / folder.name / inside.parent, masks]
        mask = next((at for place in places if (at := finder.find(place, path.stem))), mask)
        kind = inside.parts[0] if len(inside.parts) > 1 else folder.resolve().name
        found.append(Picture(path, "defect" if kind == GOOD else kind, mask, ""))
    return found


def _sound(path: Path, folder: Path) -> Sound:
    return sound_of_path(path.relative_to(folder).parts[:-1])
