"""What `init` recommends for pictures, and why: detector, size and threshold, in the words of the recipe's header.

lines = recommendation_of(dataset, recipe)
"""

from __future__ import annotations

import itertools
import textwrap

from edge_build.data.dataset import Dataset
from edge_build.data.splits import calibration_count
from edge_build.recipe.input_size import side_that_fits, size_text
from edge_build.recipe.recipe import Recipe

WIDEST = 118  # characters of a comment
USUAL_SIDE = 320
ELONGATED = 1.5  # from this aspect ratio on, a square would squeeze what is small
LEAST_FOR_TRAINING = 60  # good pictures: with fewer a share of them sets no threshold worth the name
A_FEW = 3  # pixels of the model that a defect should cover


def recommendation_of(dataset: Dataset, recipe: Recipe) -> list[str]:
    """Lines of at most WIDEST characters."""
    lines = ["Recommended, and why:"]
    for key, why in (
        ("detector", _detector(dataset, recipe)),
        ("size", _size(dataset, recipe)),
        ("threshold", _threshold(recipe)),
    ):
        lines += textwrap.wrap(f"{key}: {why}", WIDEST - 2, initial_indent="  ", subsequent_indent="    ")
    return [*lines, *_shortage(dataset, recipe)]


def suggested_size(dataset: Dataset) -> tuple[int, int]:
    """Height and width, square and usual; for elongated pictures as many pixels in their own shape; never larger than
    the pictures."""
    native = dataset.sizes[0]
    aspect = native.height / native.width
    if 1 / ELONGATED < aspect < ELONGATED:
        side = side_that_fits(min(USUAL_SIDE, native.height, native.width))
        return side, side
    return (
        side_that_fits(min(USUAL_SIDE * aspect**0.5, native.height)),
        side_that_fits(min(USUAL_SIDE / aspect**0.5, native.width)),
    )


def _detector(dataset: Dataset, recipe: Recipe) -> str:
    located, good = recipe.view.pose != "fixed", len(dataset.good)
    if recipe.detector != "patchcore":
        text = f"{recipe.detector} is trained on made-up defects, and marks small ones more exactly than patchcore"
        if good < LEAST_FOR_TRAINING:
            return f"{text}. With {good} good pictures patchcore is the safer choice: it holds none of them out"
        if located:
            return f"{text}, where parts lie alike: the view brings them to one place"
        return f"{text}, where parts lie alike. Here they are taken as they lie: compare it with patchcore"
    text = "patchcore, which learns in minutes, from few pictures, and needs no part that lies alike"
    if located and good >= LEAST_FOR_TRAINING:
        return (
            f"{text}. The view brings these parts to one place, and there cpr-faster marks small defects more exactly: "
            "build a second recipe with `--detector cpr-faster` and compare the reports"
        )
    if good < LEAST_FOR_TRAINING:
        return f"{text}. {good} good pictures are too few for cpr-faster, worth it from {LEAST_FOR_TRAINING} on"
    return f"{text}. cpr-faster gains most where parts lie alike or the view finds them, which is not so here"


def _size(dataset: Dataset, recipe: Recipe) -> str:
    native, view = dataset.sizes[0], recipe.view
    height, width = (recipe.size, recipe.size) if isinstance(recipe.size, int) else recipe.size
    text = size_text(height, width)
    if view.pose != "fixed":
        return f"{text}, in the part's shape. The detector sees the part alone: `edge-build view RECIPE` shows it"
    if view.region is not None:
        return f"{text}, in the shape of the region that counts: `edge-build view RECIPE` shows it"
    if height >= native.height and width >= native.width:
        return f"{text}, as the pictures have no more pixels"
    down, across = native.height / height, native.width / width
    text += (
        f". The pictures ({size_text(native.height, native.width)}) are reduced to it, so a defect should be "
        f"{max(A_FEW, round(A_FEW * down))} of their pixels high or {max(A_FEW, round(A_FEW * across))} wide; a larger "
        "size finds smaller ones, and takes time with its area"
    )
    if height != width:
        return f"{text}. It is not square because the pictures are not"
    if (suggested := suggested_size(dataset))[0] != suggested[1]:
        return f"{text}. A square squeezes these pictures; size: {list(suggested)} keeps their shape at a usual cost"
    return text


def _threshold(recipe: Recipe) -> str:
    settings = recipe.threshold
    if settings.method == "held-out":
        return (
            f"{settings.share:.0%} of the good pictures are held out for it, as a training for each fold would take "
            f"too long; {settings.false_reject_rate:.0%} of good parts may be rejected, which can be changed later "
            "without learning again"
        )
    return (
        "cross-fitted, so every good picture is learned from and yet judged by a detector that has not seen it; "
        f"{settings.false_reject_rate:.0%} of good parts may be rejected, which can be changed later without learning "
        "again"
    )


def _shortage(dataset: Dataset, recipe: Recipe) -> list[str]:
    """What the number of pictures does not allow."""
    held_out = _held_out(len(dataset.good), recipe)
    best, rate = 1 / (held_out + 1), recipe.threshold.false_reject_rate
    if best <= rate:
        return []
    enough = next(n for n in itertools.count(len(dataset.good)) if 1 / (_held_out(n, recipe) + 1) <= rate)
    return [
        f"With {held_out} pictures for the threshold, a false reject rate of {best:.1%} is the lowest that can be",
        f"promised; for {rate:.0%} there must be {enough} good pictures or more.",
    ]


def _held_out(good: int, recipe: Recipe) -> int:
    """How many of so many good pictures the threshold rests on."""
    if recipe.threshold.method == "held-out":
        return max(1, round(good * recipe.threshold.share))
    return good - calibration_count(good, recipe.calibration.set_aside)
