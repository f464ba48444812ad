from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_runtime.imaging.preprocess import preprocess


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_picture_of_the_models_size_is_passed_on_unchanged():
    image = noise(64, 96)
    prepared = preprocess(image, 64, 96)
    assert prepared.shape == (1, 64, 96, 3)
    np.testing.assert_array_equal(prepared[0], image)


def test_a_view_becomes_contiguous():
    assert preprocess(noise(64, 128)[:, ::2], 64, 64).flags["C_CONTIGUOUS"]
    assert preprocess(noise(64, 64)[:, ::-1], 32, 32).flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (2, 1), (3, 3), (2, 5)])
def test_a_picture_that_shrinks_by_a_whole_factor_is_averaged_over_the_pixels_it_covers(rows, columns):
    image = noise(63 * rows, 63 * columns)
    mean = image.reshape(63, rows, 63, columns, 3).mean(axis=(1, 3))
    # half a grey level from rounding, and how halves are rounded is left open
    np.testing.assert_allclose(preprocess(image, 63, 63)[0], mean, atol=0.51)


@pytest.mark.parametrize("odd", [0, 1])
def test_a_large_picture_is_averaged_whether_it_can_be_halved_or_not(odd):
    image = noise(64 * 8 + odd, 64 * 8 + odd)
    prepared = preprocess(image, 64, 64)[0]
    exact = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(prepared, exact, atol=1.8)  # three roundings on the way


@pytest.mark.parametrize(("height", "width"), [(1024, 1024), (1024, 64), (1024, 256), (2048, 2048), (2048, 64)])
def test_an_axis_that_shrinks_is_averaged_whatever_the_other_does(height, width):
    striped = np.zeros((height, width, 3), np.uint8)
    striped[::2] = 255  # rows in turns: sampling would show one of them
    prepared = preprocess(striped, 256, 256)
    assert prepared.shape == (1, 256, 256, 3)
    # 127.5 rounded; 1 more where rounding happens twice
    np.testing.assert_allclose(prepared, 127.5, atol=1.5)
    turned = preprocess(np.ascontiguousarray(striped.swapaxes(0, 1)), 256, 256)
    np.testing.assert_allclose(turned, 127.5, atol=1.5)


def test_a_picture_that_grows_is_interpolated_linearly():
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 200
    row = preprocess(image, 4, 4)[0, 0, :, 0]
    assert row.tolist() == [0, 50, 150, 200]  # half-pixel centres: a quarter and three quarters of the way


def test_a_picture_of_one_colour_keeps_it_and_channels_keep_their_order():
    image = np.full((300, 500, 3), (10, 20, 30), np.uint8)
    for height, width in ((64, 64), (512, 512), (512, 64), (64, 512)):
        assert np.unique(preprocess(image, height, width).reshape(-1, 3), axis=0).tolist() == [[10, 20, 30]]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.uint16),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["grey", "alpha", "16 bits", "empty"],
)
def test_what_is_no_bgr_picture_is_refused(image):
    with pytest.raises(ValueError, match=r"expected a uint8 picture \(height, width, 3\), got uint"):
        preprocess(image, 32, 32)
