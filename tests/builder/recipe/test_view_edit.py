"""A recipe's `view` edited in its text: what changes is changed, and every other character stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_build.recipe.recipe import INIT, Recipe
from edge_build.recipe.view_edit import with_view
from edge_build.recipe.view_settings import ViewSettings
from edge_runtime.errors import ConfigError
from edge_runtime.strict_yaml.model import model_from_text

PLACE = Path("screw.yaml")
TOP = '# The line in hall 3.\nname: screw\nversion: "1"   # in quotes\ndataset: data\n'
VIEW = ViewSettings(region=(10, 20, 300, 200), pose="axis", margin=0.1, ignore=(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0)),))
ALL = {
    "nothing of it": TOP,
    "no end of line": TOP.rstrip("\n"),
    "a block": TOP
    + "view:            # what is seen\n  region: null   # all\n  pose: auto\n  # the rest is usual\nsize: 128\n",
    "a block with lists": TOP
    + "view:\n  region:\n  - 1\n  - 2\n  - 30\n  - 40\n  # below\n  ignore:\n    - [[0, 0], [1, 0], [1, 1]]\n\n"
    "# the threshold\nthreshold: {folds: 3}\n",
    "a block with an empty value": TOP + "view:\n  region:\n  margin: 0.2 # room\n",
    "one line": TOP + "view: {pose: shift, margin: 0.02}  # short\nseed: 3\n",
    "one line with nothing": TOP + "view: {}\n",
    "lines that end as on Windows": (TOP + "view:\n  pose: ring\nseed: 4\n").replace("\n", "\r\n"),
}


def view_of(text: str) -> ViewSettings:
    return model_from_text(text, PLACE, Recipe, INIT).view


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_the_view_is_written_and_all_else_stays(text):
    edited = with_view(text, VIEW, PLACE)
    assert view_of(edited) == VIEW
    for line in text.splitlines():
        if "#" in line:
            assert line[line.index("#") :] in edited
    assert edited.count("\r\n") in (0, edited.count("\n"))
    assert with_view(edited, VIEW, PLACE) == edited


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_a_view_that_says_the_same_changes_no_character(text):
    assert with_view(text, view_of(text), PLACE) == text


def test_only_the_values_that_change_are_written():
    text = ALL["a block"]
    edited = with_view(text, view_of(text).model_copy(update={"pose": "axis"}), PLACE)
    assert edited == text.replace("pose: auto", "pose: axis")


def test_what_was_drawn_can_be_taken_back():
    text = with_view(ALL["a block"], VIEW, PLACE)
    edited = with_view(text, ViewSettings(), PLACE)
    assert view_of(edited) == ViewSettings()
    assert "ignore: null" in edited


def test_a_text_that_is_no_recipe_is_refused():
    with pytest.raises(ConfigError, match=r"screw\.yaml does not describe a recipe"):
        with_view("name: screw\n", VIEW, PLACE)
