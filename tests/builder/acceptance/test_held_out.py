"""The defects that the gate makes up: on the part where the view knows it, and anywhere otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_build.acceptance.held_out import GATE_STEP, Comparison, _Collected
from edge_build.data.pictures import Picture
from edge_runtime.records import Inspection, Precision

SIDE, PICTURES = 64, 12


class Quiet:
    """Finds nothing; keeps what it was shown."""

    name = "quiet"

    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []

    def infer(self, image: np.ndarray) -> Inspection:
        self.shown.append(image[0].copy())
        return Inspection(0.0, np.zeros(image.shape[1:3], np.float32))

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def compared(judged: np.ndarray | None) -> tuple[np.ndarray, list[np.ndarray]]:
    """Masks of what was made up, at every second pixel, and where pictures were changed."""
    random = np.random.default_rng(3)
    good = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    engines = {Precision.FP32: Quiet(), Precision.FP16: Quiet()}
    found = {precision: _Collected() for precision in engines}
    comparison = Comparison(PICTURES, 0, judged)
    for _ in range(PICTURES):
        comparison.measure(Picture(Path("good.png"), "good", None, "0" * 64), good, engines, found)
    changed = [(shown != good).any(axis=2) for shown in engines[Precision.FP32].shown]
    return found[Precision.FP32].whole().masks, changed


def test_defects_are_made_up_where_the_view_shows_the_part_and_nowhere_else():
    part = np.zeros((SIDE, SIDE), np.bool_)
    part[20:40, 10:50] = True
    masks, changed = compared(part)
    assert masks.any((1, 2)).sum() > PICTURES
    assert not (masks & ~part[::GATE_STEP, ::GATE_STEP]).any()
    assert not any((where & ~part).any() for where in changed)


def test_without_such_a_view_they_may_be_anywhere():
    masks, _ = compared(None)
    assert masks.any(0).mean() > 0.6


@pytest.mark.parametrize("judged", [None, np.ones((SIDE, SIDE), np.bool_)])
def test_good_pictures_are_compared_as_they_are(judged):
    masks, changed = compared(judged)
    assert (~masks.any((1, 2))).sum() == PICTURES
    assert sum(not where.any() for where in changed) >= PICTURES
