from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.imaging.overlay import draw_outline, fit, heat_overlay, scale_from_threshold

GREY = np.full((40, 60, 3), 120, np.uint8)


def test_a_calm_map_leaves_the_picture_untouched() -> None:
    low, high = scale_from_threshold(2.0)

    overlay = heat_overlay(GREY, np.full((10, 15), 0.9, np.float32), low, high)

    assert np.array_equal(overlay, GREY)


def test_a_hot_place_is_coloured_where_it_is_and_nowhere_else() -> None:
    anomaly_map = np.zeros((10, 15), np.float32)
    anomaly_map[2, 3] = 9.0  # at 4 pixels of the picture each: rows 8 to 11, columns 12 to 15

    overlay = heat_overlay(GREY, anomaly_map, 1.0, 4.0)

    assert overlay[10, 14].max() > 200
    assert np.array_equal(overlay[20:], GREY[20:])


def test_the_same_value_has_the_same_colour_whatever_else_is_in_the_map() -> None:
    calm, wild = np.full((40, 60), 2.0, np.float32), np.full((40, 60), 2.0, np.float32)
    wild[30:, 30:] = 100.0

    first, second = (heat_overlay(GREY, m, 1.0, 4.0) for m in (calm, wild))

    assert np.array_equal(first[:20, :20], second[:20, :20])


def test_the_picture_given_is_not_changed() -> None:
    before = GREY.copy()

    heat_overlay(GREY, np.ones((4, 6), np.float32), 0.0, 1.0)
    draw_outline(GREY, np.ones((4, 6), bool))

    assert np.array_equal(GREY, before)


def test_a_scale_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"high above low, got 1.0 to 1.0"):
        heat_overlay(GREY, np.zeros((4, 6), np.float32), 1.0, 1.0)


def test_an_outline_goes_around_the_defect_and_leaves_it_visible() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 20:40] = True

    drawn = draw_outline(GREY, mask)

    assert np.array_equal(drawn[mask], GREY[mask])
    assert (drawn != GREY).any()


def test_an_empty_mask_draws_nothing() -> None:
    assert np.array_equal(draw_outline(GREY, np.zeros((4, 6), bool)), GREY)


def test_a_picture_is_made_smaller_but_never_larger_and_keeps_its_shape() -> None:
    assert fit(np.zeros((1000, 500, 3), np.uint8), 100).shape == (100, 50, 3)
    assert fit(GREY, 100).shape == GREY.shape
    assert fit(np.zeros((2, 3000, 3), np.uint8), 100).shape == (1, 100, 3)
