from __future__ import annotations

import numpy as np
import pytest

from edge_build.detectors.defects.procedural import FAMILIES, procedural_textures

MADE = list(procedural_textures(36, 64, 96, 0))


def test_textures_have_the_size_that_was_asked_for() -> None:
    assert {(image.shape, image.dtype.name) for image in MADE} == {((64, 96, 3), "uint8")}


def test_the_same_seed_makes_the_same_and_another_seed_others() -> None:
    again, others = procedural_textures(6, 64, 96, 0), procedural_textures(6, 64, 96, 1)
    for first, same, other in zip(MADE[:6], again, others, strict=True):
        np.testing.assert_array_equal(first, same)
        assert (first != other).any()


@pytest.mark.parametrize("family", range(len(FAMILIES)), ids=lambda number: FAMILIES[number].__name__.strip("_"))
def test_a_family_has_structure_and_many_brightnesses(family: int) -> None:
    mine = MADE[family :: len(FAMILIES)]

    assert np.median([image.std((0, 1)).mean() for image in mine]) > 5
    assert np.ptp([image.mean() for image in mine]) > 40
