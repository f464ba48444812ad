"""What pictures may not be: copies of one another, good ones of another shape than the rest, damaged files, or masks.

Copies are of no use to learn from, and a fault where what was learned would be measured with. Two pictures are copies
when all their pixels are the same, whatever their files are.

A good picture of another shape shows a turned part, or another product. `preprocess` squeezes every picture to the
model's size, so such a one looks like no other: its score among the held-out ones lifts the threshold, and its size
widens the limits of frames, until neither finds anything.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_build.data.damage import lost_ones
from edge_build.data.pictures import DatasetError, Picture, PictureFacts, problem_lines

FACTOR = 1.25  # cut-outs of one product stay within 1.03 of their median; a turned picture of a square part is no harm


@dataclass(frozen=True)
class ShapeProblem:
    """refuse: the others have a usual shape, so a few pictures are wrong; otherwise there is none to measure by."""

    text: str
    refuse: bool


def without_copies(facts: Sequence[PictureFacts]) -> tuple[list[PictureFacts], list[str]]:
    """The pictures without copies, and a line for each copy that is left out."""
    first: dict[str, PictureFacts] = {}
    copies = []
    for each in facts:
        original = first.setdefault(each.picture.pixels, each)
        if original is not each:
            copies.append(f"{each.picture.path.name} is {original.picture.path.name}")
    return list(first.values()), copies


def without_damaged(facts: Sequence[PictureFacts]) -> tuple[list[PictureFacts], list[str]]:
    """The pictures whose data is whole, and a line for each of the others."""
    lost = lost_ones([each.lost for each in facts])
    sound, damaged = [], []
    for each, has_lost in zip(facts, lost, strict=True):
        reason = each.damage or (f"{each.lost:.0%} of its rows, in one piece, hold no data" if has_lost else None)
        if reason is None:
            sound.append(each)
        else:
            damaged.append(f"{each.picture.path}: {reason}")
    return sound, damaged


def refuse_masks(facts: Sequence[PictureFacts], root: Path) -> None:
    """No good picture may look like a mask. Raises DatasetError."""
    if masks := [str(each.picture.path) for each in facts if each.mask_like]:
        raise DatasetError(
            f"{len(masks)} of {len(facts)} good pictures in {root} are nothing but black and white, as masks are:\n"
            f"{problem_lines(masks)}\ntake them out, or name them in `exclude`; if they do show good parts, say so: "
            "`all_good: true` in the recipe, `edge-build init --all-good`"
        )


def check_leaks(good: Sequence[PictureFacts], test: Sequence[PictureFacts]) -> None:
    """No test picture may be a copy of a good one, nor of a test picture with another label. Raises DatasetError."""
    learned = {each.picture.pixels: each.picture for each in good}
    measured: dict[str, Picture] = {}
    leaks, contradictions = [], []
    for each in test:
        same = measured.setdefault(each.picture.pixels, each.picture)
        if each.picture.pixels in learned:
            leaks.append(f"{each.picture.path} is the same picture as {learned[each.picture.pixels].path}")
        elif same.label != each.picture.label:
            contradictions.append(f"{each.picture.path} is the same picture as {same.path}")
    if leaks:
        raise DatasetError(
            f"{len(leaks)} test pictures are among those to learn from, so figures would be too good:\n"
            f"{problem_lines(leaks)}\ntake each out of one of the two"
        )
    if contradictions:
        lines = problem_lines(contradictions)
        raise DatasetError(f"{len(contradictions)} test pictures have two labels:\n{lines}\ntake the wrong one out")


def problem_of_shapes(facts: Sequence[PictureFacts]) -> ShapeProblem | None:
    """What is wrong with the shapes of good pictures: width / height beyond FACTOR of their median."""
    ratios = [each.width / each.height for each in facts]
    median = statistics.median(ratios)
    other = [max(ratio / median, median / ratio) > FACTOR for ratio in ratios]
    if not any(other):
        return None
    if 2 * sum(other) >= len(facts):
        return ShapeProblem(
            f"the good pictures have no usual shape (width / height {min(ratios):.3f} to {max(ratios):.3f}): all are "
            "squeezed to one size, and the limits of frames refuse hardly any shape; if they show several products, "
            "build a bundle for each",
            refuse=False,
        )
    usual = Counter((each.width, each.height) for each, odd in zip(facts, other, strict=True) if not odd)
    (width, height), _ = usual.most_common(1)[0]
    lines = [
        f"{each.picture.path}: {each.width} x {each.height} pixels, width / height {ratio:.3f}"
        for each, ratio, odd in zip(facts, ratios, other, strict=True)
        if odd
    ]
    return ShapeProblem(
        f"{len(lines)} of {len(facts)} good pictures have another shape than the others, which are usually {width} x "
        f"{height} pixels, width / height {width / height:.3f}:\n{problem_lines(lines)}\none such picture can lift the "
        "threshold above all defects: take them out of the folder, or turn or crop them as the others are (the "
        "orientation in a file's EXIF data counts)",
        refuse=True,
    )
