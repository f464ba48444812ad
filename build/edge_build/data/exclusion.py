"""Pictures that a recipe leaves out: `exclude: [part-0012.png, monday/*, "*_blurred.jpg"]`.

A pattern is a name or a glob, relative to the folder of good pictures. Without a slash it fits the name of a picture,
or of a folder with all that is in it, anywhere. `*` and `?` fit what they do in a shell, and `*` a slash, too.

    kept, left_out = exclude(paths, root, ("monday",))
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from edge_build.data.pictures import DatasetError, problem_lines


def exclude(paths: Sequence[Path], root: Path, patterns: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The pictures that are kept, and those left out. Raises DatasetError for a pattern that fits none of them."""
    fitting = {pattern: [path for path in paths if _fits(path.relative_to(root), pattern)] for pattern in patterns}
    if idle := [pattern for pattern, found in fitting.items() if not found]:
        near = problem_lines([path.relative_to(root).as_posix() for path in paths[:3]])
        raise DatasetError(
            f"exclude: {', '.join(idle)} fits no good picture in {root}; names there look like\n{near}\n"
            "correct the pattern, or take it out"
        )
    left_out = {path for found in fitting.values() for path in found}
    return [path for path in paths if path not in left_out], [path for path in paths if path in left_out]


def exclusion_notes(left_out: Sequence[Path], root: Path) -> list[str]:
    """A note that names what was left out."""
    if not left_out:
        return []
    names = problem_lines([path.relative_to(root).as_posix() for path in left_out])
    return [f"left out {len(left_out)} good pictures, as `exclude` says:\n{names}"]


def _fits(inside: Path, pattern: str) -> bool:
    wanted = pattern.removeprefix("./").rstrip("/")
    places = [inside, *inside.parents[:-1]]
    if "/" not in wanted:
        return any(fnmatchcase(place.name, wanted) for place in places)
    return any(fnmatchcase(place.as_posix(), wanted) for place in places)
