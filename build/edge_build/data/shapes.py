"""Good pictures of another shape than the others: a turned one, or one of another product.

`preprocess` squeezes every picture to the model's size, so such a one looks like no other. Its score among the held-out
ones lifts the threshold, and its size widens the limits of frames, until neither finds anything.

    problem = problem_of_shapes(looks)  # None, or what is wrong and whether a build must be refused
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edge_build.data.pictures import PictureFacts, problem_lines

FACTOR = 1.25  # cut-outs of one product stay within 1.03 of their median; a turned picture of a square part is no harm


@dataclass(frozen=True)
class ShapeProblem:
    """refuse: the others have a usual shape, so a few pictures are wrong; otherwise there is none to measure by."""

    text: str
    refuse: bool


def problem_of_shapes(looks: Sequence[PictureFacts]) -> ShapeProblem | None:
    """What is wrong with the shapes of good pictures: width / height beyond FACTOR of their median."""
    ratios = [look.width / look.height for look in looks]
    median = statistics.median(ratios)
    other = [max(ratio / median, median / ratio) > FACTOR for ratio in ratios]
    if not any(other):
        return None
    if 2 * sum(other) >= len(looks):
        return ShapeProblem(
            f"the good pictures have no usual shape (width / height {min(ratios):.3f} to {max(ratios):.3f}): all are "
            "squeezed to one size, and the limits of frames refuse hardly any shape; if they show several products, "
            "build a bundle for each",
            refuse=False,
        )
    usual = Counter((look.width, look.height) for look, odd in zip(looks, other, strict=True) if not odd)
    (width, height), _ = usual.most_common(1)[0]
    lines = [
        f"{look.picture.path}: {look.width} x {look.height} pixels, width / height {ratio:.3f}"
        for look, ratio, odd in zip(looks, ratios, other, strict=True)
        if odd
    ]
    return ShapeProblem(
        f"{len(lines)} of {len(looks)} good pictures have another shape than the others, which are usually {width} x "
        f"{height} pixels, width / height {width / height:.3f}:\n{problem_lines(lines)}\none such picture can lift the "
        "threshold above all defects: take them out of the folder, or turn or crop them as the others are (the "
        "orientation in a file's EXIF data counts)",
        refuse=True,
    )
