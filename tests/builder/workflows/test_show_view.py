"""`edge-build view`: one page that shows frames and views."""

from __future__ import annotations

from pathlib import Path

from tests.support.drawn_parts import anywhere, bolt, draw, write_pictures
from typer.testing import CliRunner

from edge_build.cli import app


def test_the_page_shows_frames_and_views_and_says_why(tmp_path: Path) -> None:
    write_pictures(tmp_path / "bolts", lambda random: draw(bolt(), anywhere(random), random), 12)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text('name: bolts\nversion: "1"\ndataset: bolts\nsize: 128\nview: {pose: axis}\n')
    page = tmp_path / "page.html"

    done = CliRunner().invoke(app, ["view", str(recipe), "--out", str(page)])

    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert text.count('alt="the frame"') == 12 + 6  # all, and the least sure again
    assert "axis, as the recipe says" in text
    assert "the good parts lie at x" in text.lower()
