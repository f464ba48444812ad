from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_runtime.bundle.manifest import FrameLimits
from edge_runtime.config.station import HealthSettings
from edge_runtime.inspection.frame_checks import (
    BLURRED,
    FIXED_LIMITS,
    SIZE_MARGIN,
    frame_fault,
    limits_from_good,
    measure_frame,
    size_problem,
    sizes_from_good,
)
from edge_runtime.records import ErrorCode

SIZE = 256
SIZES = FrameLimits(sizes=sizes_from_good([(1000, 400), (1012, 400), (1004, 400)]))


def part(seed, size=SIZE, noise=2.0, blur=0.0, light=1.0):
    """uint8 BGR (size, size, 3): bright shapes on a dark ground, blurred by the lens, then with the sensor's noise."""
    random = np.random.default_rng(seed)
    image = np.full((size, size, 3), 40, np.uint8)
    for _ in range(40):
        centre = tuple(int(v) for v in random.integers(0, size, 2))
        cv2.circle(image, centre, int(random.integers(4, 30)), [int(v) for v in random.integers(60, 220, 3)], -1)
    if blur:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    return np.clip(light * image + random.normal(0, noise, image.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def limits():
    return limits_from_good([measure_frame(part(seed)) for seed in range(20)])


def code(image, limits=FIXED_LIMITS):
    fault = frame_fault(image, limits)
    return fault and fault.error


def test_good_frames_that_the_limits_do_not_know_are_judged(limits):
    assert [frame_fault(part(seed), limits) for seed in range(100, 150)] == [None] * 50


@pytest.mark.parametrize("noise", [0.0, 2.0, 6.0])
def test_a_blurred_frame_is_out_of_focus_whatever_its_noise(limits, noise):
    found = {code(part(seed, blur=3.0, noise=noise), limits) for seed in range(100, 120)}
    assert found == {ErrorCode.FRAME_OUT_OF_FOCUS}


@pytest.mark.parametrize("light", [0.7, 1.15])
def test_focus_depends_neither_on_light_nor_on_contrast(light):
    bright, other = measure_frame(part(1, noise=0)), measure_frame(part(1, noise=0, light=light))
    assert other.sharpness == pytest.approx(bright.sharpness, rel=0.02)  # whole grey values


def test_what_changes_evenly_is_blurred_and_a_flat_frame_says_nothing():
    ramp = np.repeat(np.tile(np.arange(256, dtype=np.uint8), (256, 1))[..., None], 3, axis=2)
    assert measure_frame(ramp).sharpness == pytest.approx(BLURRED, rel=0.07)  # noise is taken off that is none
    assert measure_frame(np.full((256, 256, 3), 90, np.uint8)).sharpness is None
    assert measure_frame(part(1, size=12)).sharpness is None  # too small to measure it


@pytest.mark.parametrize("given", [FIXED_LIMITS, None])
def test_a_black_frame_is_black_with_hot_pixels_too(limits, given):
    dark = np.random.default_rng(0).integers(0, 3, (SIZE, SIZE, 3), dtype=np.uint8)
    assert code(dark, given or limits) is ErrorCode.FRAME_BLACK
    dark.reshape(-1, 3)[:: SIZE * SIZE // 300] = 255  # half a percent of the sensor
    assert code(dark, given or limits) is ErrorCode.FRAME_BLACK


@pytest.mark.parametrize("given", [FIXED_LIMITS, None])
def test_a_white_frame_is_saturated_with_dead_pixels_too(limits, given):
    white = np.full((SIZE, SIZE, 3), 255, np.uint8)
    white.reshape(-1, 3)[:: SIZE * SIZE // 300] = 0
    assert code(white, given or limits) is ErrorCode.FRAME_SATURATED


def test_a_frame_that_lost_most_of_its_light_is_black_against_good_pictures_only(limits):
    assert code(part(100, light=0.15), limits) is ErrorCode.FRAME_BLACK
    assert code(part(100, light=0.15)) is None


def test_another_size_is_an_error_that_says_both(limits):
    fault = frame_fault(part(1)[:200], limits)
    assert fault.error is ErrorCode.FRAME_WRONG_SIZE
    assert "256 x 200 pixels, the good pictures were 256 x 256" in fault.detail


def test_of_several_sizes_what_lies_between_and_a_bit_beyond_is_judged_and_the_rest_says_why():
    several = limits_from_good([measure_frame(part(1)[:200]), measure_frame(part(2)[:220])])
    assert (several.height, several.width) == (None, None)
    assert [frame_fault(part(3)[:rows], several) for rows in (195, 200, 210, 220, 225)] == [None] * 5
    fault = frame_fault(part(3)[:100], several)
    assert fault.error is ErrorCode.FRAME_WRONG_SIZE
    assert (
        "256 x 100 pixels (width / height 2.560), allowed are 244 to 268 x 190 to 231 (width / height 1.1"
        in fault.detail
    )
    assert "health.size" in fault.detail
    assert code(np.ascontiguousarray(part(3)[:180].transpose(1, 0, 2)), several) is ErrorCode.FRAME_WRONG_SIZE


def test_a_station_may_set_its_own_limits(limits):
    own = HealthSettings(size=False, brightness_low=0, sharpness_low=0.0).applied_to(limits)
    assert (own.height, own.brightness_low, own.sharpness_low) == (None, 0, 0)
    assert own.saturated_high == limits.saturated_high
    assert frame_fault(part(1, blur=9.0), own) is None
    several = limits_from_good([measure_frame(part(1)), measure_frame(part(2, size=200))])
    assert code(part(3)[:20], several) is ErrorCode.FRAME_WRONG_SIZE
    assert frame_fault(part(3)[:20], HealthSettings(size=False, sharpness_low=0.0).applied_to(several)) is None
    assert HealthSettings().applied_to(limits) == limits


def test_good_pictures_that_are_dark_white_or_blurred_set_limits_beyond_themselves():
    measurements = [measure_frame(part(seed, light=0.1, noise=0)) for seed in range(5)]
    assert limits_from_good(measurements).brightness_low < min(measurement.brightness for measurement in measurements)
    white = limits_from_good([measure_frame(np.full((64, 64, 3), 255, np.uint8))])
    assert white.saturated_high == 1.0
    assert frame_fault(np.full((64, 64, 3), 255, np.uint8), white) is None
    blurred = limits_from_good([measure_frame(part(seed, blur=8.0, noise=0)) for seed in range(5)])
    assert frame_fault(part(9, blur=8.0, noise=0), blurred) is None


@pytest.mark.parametrize("shape", [(1, 1), (5, 700), (31, 33), (64, 64), (257, 511), (1200, 1600)])
def test_frames_of_any_size_are_looked_at(shape):
    image = np.full((*shape, 3), (10, 130, 240), np.uint8)
    measurement = measure_frame(image)
    assert (measurement.height, measurement.width, measurement.saturated) == (*shape, 0.0)
    assert measurement.brightness == cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[0, 0]


def test_the_share_of_white_counts_channel_values():
    image = np.full((64, 64, 3), (255, 252, 251), np.uint8)
    assert measure_frame(image).saturated == pytest.approx(2 / 3)


def test_a_bundle_without_limits_is_judged_as_ever():
    assert FrameLimits() == FIXED_LIMITS
    written_before_several_were_checked = FrameLimits.model_validate({"pictures": 9, "height": None, "width": None})
    assert frame_fault(part(1)[:20], written_before_several_were_checked) is None
    assert frame_fault(part(1, blur=9.0)) is None


def test_a_frame_of_nothing_but_noise_says_nothing_of_focus():
    random = np.random.default_rng(0)
    for _ in range(20):
        measurement = measure_frame(random.integers(40, 80, (64, 64, 3), dtype=np.uint8))
        assert measurement.sharpness is None or measurement.sharpness >= 0


def test_each_size_that_was_learned_from_is_allowed_and_so_is_the_margin():
    for height, width in [(1000, 400), (1012, 400), (1006, 400), (960, 390), (1040, 415), (1012, 405)]:
        assert size_problem(height, width, SIZES) is None, (height, width)


@pytest.mark.parametrize(
    ("height", "width"),
    [(100, 40), (400, 1006), (949, 400), (1063, 400), (1006, 379), (1006, 421), (2012, 800), (1006, 40), (1, 1)],
)
def test_a_size_beyond_the_margin_is_refused(height, width):
    assert f"{width} x {height} pixels" in size_problem(height, width, SIZES)


def test_a_ratio_that_no_good_picture_had_is_refused_though_both_sides_are_allowed():
    both_square = FrameLimits(sizes=sizes_from_good([(200, 200), (800, 800)]))
    assert size_problem(500, 500, both_square) is None
    assert (
        "(width / height 0.375), allowed are 190 to 840 x 190 to 840 (width / height 0.950 to 1.050)"
        in size_problem(800, 300, both_square)
    )
    assert size_problem(300, 800, both_square) is not None


def test_the_margin_is_rounded_towards_the_good_pictures_and_they_are_never_outside():
    for side in range(1, 200):
        sizes = sizes_from_good([(side, side), (side + 1, side)])
        assert side * (1 - SIZE_MARGIN) <= sizes.height_low <= side
        assert side + 1 <= sizes.height_high <= (side + 1) * (1 + SIZE_MARGIN)
        assert size_problem(side, side, FrameLimits(sizes=sizes)) is None


def test_limits_without_any_size_allow_all():
    assert size_problem(1, 9000, FrameLimits()) is None


def test_limits_survive_the_manifest():
    assert FrameLimits.model_validate_json(SIZES.model_dump_json()) == SIZES
