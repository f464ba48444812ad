"""Copies among pictures: of no use to learn from, and a fault where what was learned would be measured with.

Two pictures are copies when all their pixels are the same, whatever their files are.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_build.data.pictures import DatasetError, Picture, PictureFacts, problem_lines


def without_copies(looks: Sequence[PictureFacts]) -> tuple[list[PictureFacts], list[str]]:
    """The pictures without copies, and what is said of each copy left out."""
    first: dict[str, PictureFacts] = {}
    copies = []
    for look in looks:
        kept = first.setdefault(look.picture.pixels, look)
        if kept is not look:
            copies.append(f"{look.picture.path.name} is {kept.picture.path.name}")
    return list(first.values()), copies


def check_leaks(good: Sequence[PictureFacts], test: Sequence[PictureFacts]) -> None:
    """No test picture may be a copy of a good one, nor of a test picture with another label. Raises DatasetError."""
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
