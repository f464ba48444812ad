"""`edge-build compare`, from bundles to the table and the page."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from tests.support.report_page import Page
from tests.support.tiny_bundle import picture, write_bundle
from typer.testing import CliRunner

from edge_build.cli import app
from edge_runtime.errors import ConfigError


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Spots are defects."""
    root, number = tmp_path / "parts", 1000
    for folder, count in (("train/good", 4), ("test/good", 6), ("test/spot", 3)):
        (root / folder).mkdir(parents=True)
        for _ in range(count):
            cv2.imwrite(str(root / folder / f"{number}.png"), picture(folder.endswith("spot"), number))
            number += 1
    return root


def bundle(folder: Path, version: str) -> Path:
    written = write_bundle(folder)
    manifest = json.loads((written / "manifest.json").read_text())
    (written / "manifest.json").write_text(json.dumps(manifest | {"version": version}))
    return written


def test_two_bundles_are_compared_in_a_table_a_page_and_a_file(tmp_path: Path, dataset: Path) -> None:
    first, second = bundle(tmp_path / "one", "1"), bundle(tmp_path / "two", "2")
    page, summary = tmp_path / "compared.html", tmp_path / "compared.json"

    found = CliRunner().invoke(
        app, ["compare", *map(str, (first, second, dataset)), "--html", str(page), "--json", str(summary)]
    )

    assert found.exit_code == 0, found.output
    assert "parts: 6 good test pictures, 3 of defects" in found.output
    rows = json.loads(summary.read_text())["rows"]
    assert [row["bundle"] for row in rows] == ["tiny-1", "tiny-2"]
    assert [row["equal_found"] for row in rows] == [3, 3]
    assert rows[1]["auroc_difference"] == {"value": 0, "low": 0, "high": 0}
    words = " ".join(Page(page.read_text()).words)
    assert "tiny-1, tiny-2" in words
    assert "Found at 0 false rejects" in words


@pytest.mark.parametrize("count", [1, 2])
def test_bundles_that_cannot_be_told_apart_are_refused(tmp_path: Path, dataset: Path, count: int) -> None:
    folders = [str(bundle(tmp_path / str(number), "1")) for number in range(count)]

    found = CliRunner().invoke(app, ["compare", *folders, str(dataset)])

    assert isinstance(found.exception, ConfigError)
    assert "to compare takes at least two bundles, each of another name or version" in str(found.exception)
