from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_build.detectors.defects.synthetic import augmented, defect_mask, perlin_noise, structural_source, with_defect

SIDE = 64


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 200, (SIDE, SIDE, 3), dtype=np.uint8)


def left_half() -> np.ndarray:
    return np.tile(np.arange(SIDE) < SIDE // 2, (SIDE, 1))


def test_the_same_seed_gives_the_same_defect() -> None:
    first, again = (with_defect(picture(), left_half(), [], np.random.default_rng(3)) for _ in range(2))

    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_a_picture_changes_inside_its_mask_and_nowhere_else() -> None:
    random, changed = np.random.default_rng(0), 0
    for _ in range(40):
        image, mask = with_defect(picture(), None, [picture(1)], random)
        np.testing.assert_array_equal(image[~mask], picture()[~mask])
        changed += int((image[mask] != picture()[mask]).any())

    assert changed >= 30  # nine in ten


def test_defects_stay_on_the_foreground_and_are_never_specks() -> None:
    random = np.random.default_rng(0)
    masks = [defect_mask(SIDE, SIDE, left_half(), random) for _ in range(60)]

    assert not any(mask[:, SIDE // 2 :].any() for mask in masks)
    assert sum(mask.any() for mask in masks) >= 45
    for mask in masks:
        stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2]
        assert (stats[1:, cv2.CC_STAT_AREA] >= 0.001 * SIDE * SIDE).all()


def test_without_a_foreground_to_stand_on_a_picture_stays_good() -> None:
    nowhere = np.zeros((SIDE, SIDE), np.bool_)

    image, mask = with_defect(picture(), nowhere, [], np.random.default_rng(0))

    assert not mask.any()
    np.testing.assert_array_equal(image, picture())


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 32), (32, 4)])
def test_noise_is_smooth_zero_on_its_grid_and_within_one(rows: int, columns: int) -> None:
    noise = perlin_noise(SIDE, SIDE, rows, columns, np.random.default_rng(0))

    assert np.abs(noise).max() <= 1
    np.testing.assert_allclose(noise[:: SIDE // rows, :: SIDE // columns], 0, atol=1e-6)
    assert np.abs(np.diff(noise, axis=1)).max() < 4.5 * columns / SIDE  # its slope in cells of the grid


def test_on_a_surface_defects_are_textures_where_there_are_any() -> None:
    texture = np.full((SIDE, SIDE, 3), 255, np.uint8)
    random = np.random.default_rng(0)
    for _ in range(20):
        image, mask = with_defect(picture(), None, [texture], random)
        assert (image[mask] >= picture()[mask]).all()  # blended with white


def test_the_structural_source_is_the_picture_with_its_tiles_elsewhere() -> None:
    ramp = np.repeat(np.arange(SIDE, dtype=np.uint8)[:, None], SIDE, 1)[..., None].repeat(3, 2)

    for seed in range(30):
        source = structural_source(ramp, np.random.default_rng(seed))
        assert (source.shape, source.dtype) == (ramp.shape, np.uint8)
        assert (source != ramp).any()


def test_an_augmented_picture_is_nearly_the_same() -> None:
    random = np.random.default_rng(0)
    for _ in range(30):
        image = augmented(picture(), random)
        near = np.abs(image.astype(int) - picture()) <= 21  # a tenth of the lightest
        assert near.mean() > 0.96  # up to 3 % salt and pepper
