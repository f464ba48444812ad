from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.report_page import THRESHOLD, Page, data_of, evaluation_of, write_picture

from edge_build.acceptance.held_out import HighScore
from edge_build.detectors.protocol import Example
from edge_build.evaluation.result import Evaluation
from edge_build.report.gallery import galleries_of, training_examples
from edge_build.report.page import report_html
from edge_runtime.errors import PictureError


def test_no_picture_is_shown_twice_and_the_worst_come_first(evaluation: Evaluation, tmp_path: Path) -> None:
    galleries = galleries_of(evaluation, tmp_path)

    shown = [tile.name for each in galleries for tile in each.tiles]
    assert len(shown) == len(set(shown)) == 6
    assert [tile.verdict for tile in galleries[0].tiles] == ["OK: missed", "NOK", "NOK"]
    assert [tile.verdict for tile in galleries[1].tiles] == ["NOK: false reject", "OK", "OK"]
    assert galleries[0].tiles[0].name == "test/dent/3.png"


def test_many_large_noisy_pictures_stay_below_three_megabytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scored = [(label, float(s)) for label in ("good", "dent") for s in rng.uniform(10, 40, 12)]
    evaluation = evaluation_of(tmp_path, scored)
    for picture in evaluation.pictures:
        cv2.imwrite(str(picture.path), rng.integers(0, 256, (500, 500, 3), dtype=np.uint8))

    html = report_html(data_of(evaluation, tmp_path))

    assert html.count("<img") == 36
    assert len(html) < 3_000_000


def test_the_report_shows_what_defects_it_learned_from(evaluation: Evaluation, tmp_path: Path) -> None:
    picture, mask = np.full((64, 96, 3), 90, np.uint8), np.zeros((64, 96), np.bool_)
    mask[20:40, 30:60] = True
    examples = (Example(picture, mask), Example(picture, mask, real=True), Example(picture, np.zeros_like(mask)))

    without = Page(report_html(data_of(evaluation, tmp_path)))
    page = Page(report_html(data_of(evaluation, tmp_path, examples=examples, real_defects=10)))

    assert "What it learned from" in page.headings
    assert "What it learned from" not in without.headings
    assert len(page.sources) == len(without.sources) + 6
    for output in (
        "made up",
        "from a real defect",
        "left good",
        "learned from 10 pictures of real defects, none of which",
    ):
        assert output in page.text
    assert "had a say in it." in page.text
    assert "had a say in it, nor in anything else." in without.text


def test_training_examples_outline_the_defect() -> None:
    picture, mask = np.full((64, 96, 3), 90, np.uint8), np.zeros((64, 96), np.bool_)
    mask[20:40, 30:60] = True

    (example,) = training_examples([Example(picture, mask)])

    plain, outlined = (
        cv2.imdecode(np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
        for uri in (example.picture, example.overlay)
    )
    assert (example.width, example.height) == (96, 64)
    changed = np.abs(outlined.astype(int) - plain).max(2) > 60
    assert changed[17:43, 27:63].any()
    assert not changed[:12].any()


def test_the_good_pictures_that_set_the_threshold_are_shown_with_their_maps(tmp_path: Path) -> None:
    worst = HighScore(write_picture(tmp_path, "good", 7, 90.0), 1.5 * THRESHOLD.score, np.zeros((8, 8), np.float32))

    page = Page(report_html(data_of(None, tmp_path, highest=(worst,))))

    assert "The good pictures that set the threshold" in page.headings
    assert "NOK: false reject 1.50 × threshold test/good/7.png" in page.text
    assert len(page.sources) == 2


def test_a_picture_that_is_gone_is_named(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.pictures[3].path.unlink()

    with pytest.raises(PictureError, match=r"3\.png"):
        report_html(data_of(evaluation, tmp_path))
