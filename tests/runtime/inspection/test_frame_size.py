from __future__ import annotations

import pytest

from edge_runtime.bundle.manifest import FrameLimits
from edge_runtime.inspection.frame_size import MARGIN, size_problem, sizes_from_good

LIMITS = FrameLimits(sizes=sizes_from_good([(1000, 400), (1012, 400), (1004, 400)]))


def test_each_size_that_was_learned_from_is_allowed_and_so_is_the_margin():
    for height, width in [(1000, 400), (1012, 400), (1006, 400), (960, 390), (1040, 415), (1012, 405)]:
        assert size_problem(height, width, LIMITS) is None, (height, width)


@pytest.mark.parametrize(
    ("height", "width"),
    [(100, 40), (400, 1006), (949, 400), (1063, 400), (1006, 379), (1006, 421), (2012, 800), (1006, 40), (1, 1)],
)
def test_a_size_beyond_the_margin_is_refused(height, width):
    assert f"{width} x {height} pixels" in size_problem(height, width, LIMITS)


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
        assert side * (1 - MARGIN) <= sizes.height_low <= side
        assert side + 1 <= sizes.height_high <= (side + 1) * (1 + MARGIN)
        assert size_problem(side, side, FrameLimits(sizes=sizes)) is None


def test_limits_without_any_size_allow_all():
    assert size_problem(1, 9000, FrameLimits()) is None


def test_limits_survive_the_manifest():
    assert FrameLimits.model_validate_json(LIMITS.model_dump_json()) == LIMITS
