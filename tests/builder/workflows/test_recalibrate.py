"""`recalibrate` on a bundle of a few kilobytes, whose graph tells how bright a picture is."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from tests.support.tiny_bundle import THRESHOLD, picture, write_pictures
from tests.support.tiny_line import calibrated, tiny_bundle

from edge_build.data.pictures import DatasetError
from edge_build.progress import PlainProgress
from edge_build.workflows.recalibrate import recalibrate
from edge_runtime.bundle.reader import Bundle
from edge_runtime.records import Precision


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle(tmp_path / "tiny-1.0")


def test_the_new_pictures_set_the_threshold_and_the_limits_of_frames(bundle: Bundle, tmp_path: Path) -> None:
    write_pictures(tmp_path / "line", "oooooooooo", size=128)

    after, output = calibrated(bundle, tmp_path / "line")

    threshold, frames = after.threshold(Precision.FP32), after.manifest.frames
    assert threshold.pictures == 10
    assert 60 < threshold.score < THRESHOLD
    assert (frames.pictures, frames.height, frames.width) == (10, 128, 128)
    assert "\nframes: 128 x 128 pixels; at least " in output
    assert "10 of 10 pictures are beyond the limits of frames of tiny-1.0 (ERROR 110)" in output
    assert "10 of 10 pictures are beyond the limits of frames of tiny-1.0" in (after.folder / "report.html").read_text()
    assert f"threshold {THRESHOLD:.4g} before, {threshold.score:.4g} now" in output


def test_the_report_says_first_what_it_was_made_from(bundle: Bundle, tmp_path: Path) -> None:
    write_pictures(tmp_path / "line", "o" * 12)

    after, _ = calibrated(bundle, tmp_path / "line")

    report = " ".join((after.folder / "report.html").read_text().split())
    top, rest = report.split("<h2>Scores</h2>")
    score = after.threshold(Precision.FP32).score
    assert "It judges as <strong>tiny-1.0</strong> does, with a threshold of its own from" in top
    assert "<strong>12 of 12</strong> good pictures of <strong>line</strong>" in top
    for row in (
        'tiny-1.0, before</th><th scope="col">tiny-1.1, now',
        f"Threshold, raw score</th><td>{THRESHOLD:.4g}</td><td>{score:.4g}</td>",
        "asked for</th><td>10.00 %</td><td>10.00 %</td>",
        "average</th><td>1.00 %</td><td>7.69 %</td>",
        "Set on</th><td>100 good pictures</td><td>12 good pictures</td>",
        "NOK of the 12 held-out good pictures</th><td>0</td><td>0</td>",
        "Frames that are judged</dt><dd>64 x 64 pixels; at least ",
        "; before: 64 x 64 pixels; at least 20 bright",
        "tiny-1.0: built, learned from 1 good pictures of made<br>tiny-1.1: recalibrated on 12 good pictures of line",
    ):
        assert row in top
    assert f"<code>{after.manifest.recalibration.fingerprint}</code>" in rest.split("What tiny-1.0 learned from")[0]
    assert "<dt>tiny-1.0 was built by</dt><dd>tests</dd>" in rest
    assert "<h3>Recipe of tiny-1.0</h3>" in rest
    for said_of_builds in ("There were no test pictures", "<dt>Threshold</dt>", "take it away and build again"):
        assert said_of_builds not in report


def test_what_is_refused_says_nothing_of_a_threshold_and_leaves_nothing(bundle: Bundle, tmp_path: Path) -> None:
    write_pictures(tmp_path / "line", "oooonnnnnn")

    output: list[str] = []
    with pytest.raises(DatasetError, match="6 of 10 held-out pictures are NOK by the threshold of tiny-1"):
        recalibrate(bundle.folder, tmp_path / "line", "1.1", tmp_path / "out", PlainProgress(output.append))

    assert "threshold" not in "".join(output)
    assert "frames: " not in "".join(output)
    assert list((tmp_path / "out").iterdir()) == []


def test_few_pictures_behind_the_threshold_do_not_let_other_parts_in(bundle: Bundle, tmp_path: Path) -> None:
    """Four pictures promise no more than 60 % of rejects; what was asked for is 10 %."""
    manifest = json.loads((bundle.folder / "manifest.json").read_text())
    manifest["graphs"]["fp32"]["threshold"] |= {"false_reject_rate_high": 0.6, "pictures": 4}
    (bundle.folder / "manifest.json").write_text(json.dumps(manifest))
    write_pictures(tmp_path / "line", "oooonnnnnn")

    with pytest.raises(DatasetError, match="6 of 10 held-out pictures are NOK by the threshold of tiny-1"):
        calibrated(bundle, tmp_path / "line")


def test_a_dark_picture_among_good_ones_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    write_pictures(tmp_path / "line", "oooooooo")
    cv2.imwrite(str(tmp_path / "line/dark.png"), 0 * picture(False, 1) + 12)

    with pytest.raises(DatasetError, match=r"1 of 9 pictures are no good pictures(.|\n)*dark.png: ERROR 104"):
        calibrated(bundle, tmp_path / "line")
