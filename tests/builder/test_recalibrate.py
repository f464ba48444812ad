"""`recalibrate` on a bundle of a few kilobytes, whose graph tells how bright a picture is."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from tiny_bundle import THRESHOLD, picture, write_bundle, write_pictures

from edge_build.pictures import DatasetError
from edge_build.progress import PlainProgress
from edge_build.recalibrate import recalibrate
from edge_runtime.bundle import Bundle, open_bundle
from edge_runtime.records import Precision

RECIPE = "name: tiny\nversion: '1.0'\ndataset: pictures\nprecisions: [fp32]\nthreshold: {false_reject_rate: 0.1}\n"
FRAMES = {"pictures": 9, "height": 64, "width": 64, "brightness_low": 20, "saturated_high": 0.5, "sharpness_low": 0}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    folder = write_bundle(tmp_path / "tiny-1.0")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"recipe": RECIPE, "frames": FRAMES}))
    return open_bundle(folder)


def calibrated(bundle: Bundle, pictures: Path) -> tuple[Bundle, str]:
    """The new bundle, and what was said."""
    said: list[str] = []
    made = recalibrate(bundle.folder, pictures, "1.1", pictures.parent / "out", PlainProgress(said.append))
    return open_bundle(Path(made.folder)), "".join(said)


def test_the_new_pictures_set_the_threshold_and_the_limits_of_frames(bundle: Bundle, tmp_path: Path) -> None:
    write_pictures(tmp_path / "line", "oooooooooo", size=128)

    after, said = calibrated(bundle, tmp_path / "line")

    threshold, frames = after.threshold(Precision.FP32), after.manifest.frames
    assert threshold.pictures == 10
    assert 60 < threshold.score < THRESHOLD
    assert (frames.pictures, frames.height, frames.width) == (10, 128, 128)
    assert "10 of 10 pictures are beyond the limits of frames of tiny-1.0 (ERROR 110)" in said
    assert "10 of 10 pictures are beyond the limits of frames of tiny-1.0" in (after.folder / "report.html").read_text()
    assert f"threshold {THRESHOLD:.4g} before, {threshold.score:.4g} now" in said


def test_what_is_refused_says_nothing_of_a_threshold_and_leaves_nothing(bundle: Bundle, tmp_path: Path) -> None:
    write_pictures(tmp_path / "line", "oooonnnnnn")

    said: list[str] = []
    with pytest.raises(DatasetError, match="6 of 10 held-out pictures are NOK by the threshold of tiny-1"):
        recalibrate(bundle.folder, tmp_path / "line", "1.1", tmp_path / "out", PlainProgress(said.append))

    assert "threshold" not in "".join(said)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_black_picture_among_good_ones_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    write_pictures(tmp_path / "line", "oooooooo")
    cv2.imwrite(str(tmp_path / "line/black.png"), 0 * picture(False, 1))

    with pytest.raises(DatasetError, match=r"1 of 9 pictures are no good pictures(.|\n)*black.png: ERROR 104"):
        calibrated(bundle, tmp_path / "line")
