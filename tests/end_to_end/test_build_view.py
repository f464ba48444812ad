"""From pictures of turned parts to a bundle with a view, one calibrated from it, and a device that proves both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.build_stage import edge_build
from tests.support.drawn_parts import anywhere, bolt, draw, write_pictures

from edge_runtime.bundle.reader import open_bundle

RECIPE = """
name: bolts
version: "1"
dataset: DATASET
size: 96
view: {pose: auto, ignore: [[[0, 0], [0.1, 0], [0.1, 1], [0, 1]]]}
threshold: {folds: 2}
precisions: [fp32]
patchcore: {bank: {ratio: 0.05}}
"""


def bolts(folder: Path, number: int, seed: int) -> Path:
    return write_pictures(folder, lambda random: draw(bolt(), anywhere(random), random), number, seed)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    bolts(folder / "data/train/good", 20, 0)
    bolts(folder / "data/test/good", 3, 1)
    (folder / "recipe.yaml").write_text(RECIPE.replace("DATASET", str(folder / "data")))
    built = edge_build("build", folder / "recipe.yaml", "--out", folder / "bundles")
    assert built.returncode == 0, built.stderr
    return folder / "bundles/bolts-1"


def selftest(folder: Path) -> str:
    command = [sys.executable, "-c", "from edge_runtime.cli import main; main()", "selftest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_bundle_says_what_it_sees_and_the_device_sees_the_same(bundle: Path) -> None:
    manifest = open_bundle(bundle).manifest
    assert manifest.view is not None
    assert manifest.view.pose == "axis"
    assert manifest.height * 2 <= manifest.width  # in the part's shape, not square
    assert manifest.height * manifest.width <= 96 * 96
    assert "golden frames seen as on the host" in selftest(bundle)
    report = (bundle / "report.html").read_text()
    assert report.count('alt="its view"') == report.count('alt="its map"') >= 9  # held-out and test pictures
    assert manifest.view.why in report


def test_saved_maps_cover_the_whole_frame_and_are_zero_beyond_the_view(bundle: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.npz"
    dataset = bundle.parent.parent / "data"
    done = edge_build("evaluate", bundle, dataset, "--save-scores", scores)
    assert done.returncode == 0, done.stderr
    maps = np.load(scores)["map"]
    assert maps.shape[0] == 3
    assert abs(maps.shape[2] / maps.shape[1] - 400 / 320) < 0.02
    assert (maps == 0).mean() > 0.3
    assert maps.max() > 0


def test_a_calibrated_bundle_keeps_the_view_with_limits_of_its_own(bundle: Path, tmp_path: Path) -> None:
    line = bolts(tmp_path / "line", 20, 7)
    done = edge_build("calibrate", bundle, line, "--version", "2", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = (open_bundle(folder).manifest.view for folder in (bundle, tmp_path / "bolts-2"))
    assert before is not None
    assert after is not None
    assert (after.locator, after.golden) == (before.locator, before.golden)
    assert after.usual != before.usual
    assert "golden frames seen as on the host" in selftest(tmp_path / "bolts-2")
    assert json.loads((tmp_path / "bolts-2/manifest.json").read_text())["view"]["ignore"] == "view/ignore.png"
