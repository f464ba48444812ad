"""How far a job is, by a clock that is set by hand."""

from __future__ import annotations

import pytest

from edge_build.progress import PlainProgress
from edge_build.recipe.recipe import Recipe
from edge_build.stages import Stage, Stages, duration_text
from edge_build.workflows.build_stages import JUDGING, stages_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


PLAN = (Stage("reading", 1), Stage("learning", 4), Stage("judging", 1, parts=10), Stage("packing", 1))


def test_each_stage_says_where_it_is_and_what_is_left() -> None:
    clock, output = Clock(), list[str]()
    stages = Stages(PLAN, PlainProgress(output.append), clock)

    stages.begin("reading")
    clock.now += 60
    stages.begin("learning")
    clock.now += 4 * 120  # slower than its weight says
    stages.begin("judging")
    stages.next_part()
    clock.now += 300
    stages.next_part()
    stages.begin("packing")

    assert output == [
        "stage 1 of 4: reading\n",
        "stage 2 of 4: learning, about 15 min left\n",  # 15 times what one unit took
        "stage 3 of 4: judging, about 20 min left\n",  # 540 s for 5 units, and 11 are left
        "stage 3 of 4: judging, part 2 of 10, about 47 min left\n",  # nine parts of 300 s each, and 840 / 6 s
        "stage 4 of 4: packing, less than a minute left\n",
    ]


def test_parts_that_are_known_only_later_count_from_then_on() -> None:
    clock, output = Clock(), list[str]()
    stages = Stages(PLAN, PlainProgress(output.append), clock)
    stages.begin("reading")
    clock.now += 60

    stages.begin("judging", parts=2)
    stages.next_part()
    clock.now += 60
    stages.next_part()
    stages.next_part()  # more than were planned: nothing is wrong, and nothing is said

    assert output[-1].startswith("stage 3 of 4: judging, part 2 of 2, ")


def test_nothing_is_promised_before_anything_is_known() -> None:
    assert Stages(PLAN, PlainProgress(lambda _: None), Clock()).left_s() is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "less than a minute"),
        (61, "about 1 min"),
        (59 * 60, "about 59 min"),
        (3600, "about 1 h 0 min"),
        (130 * 60, "about 2 h 10 min"),
        (3600 * 2 - 60, "about 2 h 0 min"),
    ],
)
def test_durations_are_as_rough_as_they_are_known(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("detector", "method", "parts"), [("patchcore", "cross-fitted", 15), ("cpr-faster", "held-out", 4)]
)
def test_a_recipe_has_its_stages(detector: str, method: str, parts: int) -> None:
    recipe = Recipe.model_validate(
        {"name": "a", "version": "1", "dataset": "x", "detector": detector, "precisions": ("fp32",)}
    )
    plan = stages_of(recipe)
    assert recipe.threshold.method == method
    assert len(plan) == 5
    assert next(stage for stage in plan if stage.name == JUDGING).parts == parts
