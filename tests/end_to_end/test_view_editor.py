"""`edge-build view --edit` as its user sees it: the program, and the page in a real Chromium."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from tests.support.browser import chromium_page
from tests.support.drawn_parts import anywhere, bolt, draw, write_pictures

from edge_build.recipe.recipe import read_recipe

RECIPE = """\
# bolts of line 2
name: bolts
version: "1"
dataset: bolts     # twelve
size: 128
view:
  pose: fixed      # as they lie
"""
BOUND_S = 120
ON_PAGE = """([svg, x, y]) => {
    const point = new DOMPoint(x, y).matrixTransform(document.querySelector(svg).getScreenCTM());
    return [point.x, point.y];
}"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "bolts", lambda random: draw(bolt(), anywhere(random), random), 12)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


@contextmanager
def editor(recipe: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program, and its page's URL. It is killed if it does not end by itself."""
    command = [sys.executable, "-c", "from edge_build.cli import main; main()", "view", str(recipe), "--edit"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", process.stdout.readline())
        assert found is not None
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_region_pose_and_ignored_areas_are_drawn_in_the_browser_and_saved_in_the_recipe(recipe: Path) -> None:
    with chromium_page() as browser, editor(recipe) as (process, url):
        page = browser.page

        def drag(
            svg: str, end: tuple[float, float], start: tuple[float, float] | None = None, handle: str = ""
        ) -> None:
            """To a place of a drawing, in its own coordinates: from another, or from a handle."""
            if start is not None:
                begin = place(svg, *start)
            else:
                box = page.locator(f"{svg} {handle}").bounding_box()
                begin = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
            page.mouse.move(*begin)
            page.mouse.down()
            page.mouse.move(*place(svg, *end), steps=4)
            page.mouse.up()

        def place(svg: str, x: float, y: float) -> list[float]:
            """Where a point of a drawing is on the page."""
            return page.evaluate(ON_PAGE, [svg, x, y])

        def shown(text: str) -> None:
            page.get_by_role("status").filter(has_text=text).wait_for()

        page.goto(url)
        page.locator("#view image").wait_for()
        shown("Shown as the detector will see it")

        # the region, by its corners and by numbers
        drag("#frame", (80, 60), handle=".handle[data-corner='0']")
        drag("#frame", (360, 300), handle=".handle[data-corner='2']")
        shown("Changed: show this view")
        assert [page.locator(f"#{side}").input_value() for side in ("x", "y", "width", "height")] == [
            "80", "60", "280", "240",
        ]  # fmt: skip
        page.locator("#width").fill("272")
        page.locator("#width").press("Tab")

        # a margin that no build would take is refused where it is typed
        page.locator("#margin").fill("7")
        page.get_by_role("button", name="Show this view").click()
        page.get_by_role("alert").get_by_text("view.margin: found 7; allowed: 0 to 1").wait_for()
        page.locator("#margin").fill("0.1")

        # the part found along its axis
        page.locator("#pose").select_option("axis")
        page.get_by_role("button", name="Show this view").click()
        page.get_by_text("axis, as the recipe says").wait_for()
        page.get_by_text(re.compile(r"x \d+, y \d+, .* degrees, match 0\.9")).wait_for()
        assert page.locator("#frame .outline").count() == 1
        width, height = (float(n) for n in page.locator("#view").get_attribute("viewBox").split()[2:])
        assert width > 2 * height

        # an ignored rectangle, and a polygon of which one corner is moved
        page.get_by_role("button", name="Add rectangle").click()
        drag("#view", (width / 4, height / 2), start=(0, 0))
        page.get_by_role("button", name="Add polygon").click()
        for x, y in ((0.5, 0.25), (0.75, 0.25), (0.75, 0.75)):
            page.mouse.click(*place("#view", x * width, y * height))
        page.keyboard.press("Enter")
        drag("#view", (width * 0.875, height * 0.75), handle=".handle[data-corner='2'] >> nth=1")
        assert page.locator("#areas li").count() == 2
        assert page.locator("#add-polygon").get_attribute("aria-pressed") == "false"

        page.locator("#picture").select_option(label="005.png")
        page.get_by_role("button", name="Save and end").click()
        shown("Saved: view.region, view.pose, view.margin, view.ignore. This page can be closed")

        assert process.wait(BOUND_S) == 0
        assert process.stdout is not None
        assert process.stdout.read() == (f"{recipe}: view.region, view.pose, view.margin, view.ignore changed\n")
        browser.require_clean(urlsplit(url).netloc, expected=("422",))

    view = read_recipe(recipe).view
    assert view.region == (80, 60, 272, 240)
    assert (view.pose, view.margin) == ("axis", 0.1)
    assert isinstance(view.ignore, tuple)
    rectangle, polygon = view.ignore
    np.testing.assert_allclose(rectangle, ((0, 0), (0.25, 0), (0.25, 0.5), (0, 0.5)), atol=0.02)
    np.testing.assert_allclose(polygon, ((0.5, 0.25), (0.75, 0.25), (0.875, 0.75)), atol=0.02)
    text = recipe.read_text()
    for comment in ("# bolts of line 2\n", "# twelve\n", "# as they lie\n"):
        assert comment in text


def test_leaving_the_page_writes_nothing(recipe: Path) -> None:
    with chromium_page() as browser, editor(recipe) as (process, url):
        page = browser.page
        page.goto(url)
        page.locator("#view image").wait_for()
        page.locator("#pose").select_option("shift")
        page.get_by_role("button", name="End without saving").click()
        page.get_by_text("Ended without saving").wait_for()
        assert process.wait(BOUND_S) == 0
        assert process.stdout is not None
        assert process.stdout.read() == f"{recipe} stays as it is\n"
        browser.require_clean(urlsplit(url).netloc)
    assert recipe.read_text() == RECIPE


def test_ctrl_c_ends_it_and_writes_nothing(recipe: Path) -> None:
    with editor(recipe) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(BOUND_S) == 130
    assert recipe.read_text() == RECIPE
