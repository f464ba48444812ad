"""What `auto` decides on drawn good pictures alone: it turns and crops where that helps, and lets the others lie."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.drawn_parts import (
    anywhere,
    bolt,
    cam,
    dark_on_dark,
    draw,
    fabric,
    food,
    plate,
)

from edge_build.progress import SilentProgress
from edge_build.views.candidates import Budget
from edge_build.views.samples import Sample
from edge_build.views.selection import Selection, select_view
from edge_runtime.errors import ConfigError

BUDGET = Budget(160 * 160)


def chosen(make, pose="auto", number=12) -> Selection:
    random = np.random.default_rng(5)
    samples = [Sample.of(make(random)) for _ in range(number)]
    return select_view(samples, pose, BUDGET, 0.05, SilentProgress())


def test_a_long_part_at_any_angle_is_turned_along_its_axis():
    selected = chosen(lambda random: draw(bolt(), anywhere(random), random))
    assert selected.candidate.pose == "axis"
    assert "more alike than as they lie" in selected.why


def test_a_dark_long_part_on_a_bright_ground_likewise():
    selected = chosen(lambda random: draw(bolt(50, 110), anywhere(random), random, ground=190))
    assert selected.candidate.pose == "axis"


def test_a_part_with_structure_at_any_angle_is_turned_by_its_template():
    selected = chosen(lambda random: draw(cam(), anywhere(random), random))
    assert selected.candidate.pose == "template"


def test_a_dark_part_on_a_dark_ground_near_one_place_is_followed_or_left_but_never_turned():
    selected = chosen(dark_on_dark)
    assert selected.candidate.pose in ("fixed", "shift", "template")
    if selected.candidate.part is not None:
        assert selected.candidate.lowest > 0.35


@pytest.mark.parametrize("make", [fabric, plate])
def test_cloth_with_an_edge_and_plates_of_any_height_are_left_as_they_lie(make):
    selected = chosen(make)
    assert (selected.candidate.pose, selected.candidate.region) == ("fixed", None)


def test_food_among_crumbs_is_turned_along_its_long_side_if_at_all():
    candidate = chosen(food).candidate
    assert candidate.pose in ("fixed", "shift", "axis")
    assert candidate.lowest > 0.8


def test_a_few_pictures_decide_nothing():
    selected = chosen(lambda random: draw(bolt(), anywhere(random), random), number=5)
    assert selected.why == "fixed: 5 good pictures are too few to choose a view by"


def test_a_pose_by_name_that_finds_no_part_is_refused():
    with pytest.raises(ConfigError, match=r"view\.pose is axis, but no part is found in all of 12 good pictures"):
        chosen(fabric, "axis")
