from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.report_page import THRESHOLD, Page, data_of, evaluation_of, manifest, write_picture

from edge_build.acceptance.held_out import HighScore
from edge_build.data.pictures import Picture
from edge_build.detectors.protocol import Example
from edge_build.evaluation.result import Evaluation
from edge_build.report.gallery import galleries_of, highest_held_out, suspicious, training_examples
from edge_build.report.page import report_html
from edge_build.screening.suspects import Suspect
from edge_runtime.errors import PictureError
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.imaging.view import View, ViewRecord


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
    assert "had a say in it, nor in anything else that the build did." in without.text


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


LEFT_HALF = ViewRecord(pose="fixed", frame=(48, 96), region=(0, 0, 48, 48), why="the left half, as the test says")


def decoded(uri: str) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8), cv2.IMREAD_COLOR).astype(int)


def test_with_a_view_the_frame_has_its_outline_and_the_view_stands_beside(evaluation, tmp_path: Path) -> None:
    viewer, seeing = FrameViewer(View(64, 64, LEFT_HALF)), manifest().model_copy(update={"view": LEFT_HALF})

    page = Page(report_html(data_of(evaluation, tmp_path, viewer=viewer, manifest=seeing)))
    tile = galleries_of(evaluation, tmp_path, viewer)[0].tiles[0]

    assert len(page.sources) == 3 * 6
    assert "the left half, as the test says" in page.text
    assert "what the detector sees of the frame" in page.text
    frame = decoded(tile.picture)
    green = frame[..., 1] - frame[..., [0, 2]].max(axis=2) > 60
    assert green[:, 46:50].any()
    assert not green[:, 60:].any()
    assert tile.view is not None
    assert decoded(tile.view.picture).shape == (64, 64, 3)


def test_without_a_view_no_view_is_shown(evaluation, tmp_path: Path) -> None:
    assert all(tile.view is None for gallery in galleries_of(evaluation, tmp_path) for tile in gallery.tiles)
    assert "what the detector sees of the frame" not in Page(report_html(data_of(evaluation, tmp_path))).text


def test_a_held_out_map_of_a_view_is_drawn_where_it_lies_in_the_frame(tmp_path: Path) -> None:
    hot = np.zeros((32, 32), np.float32)  # every second pixel of the view
    hot[:, 24:] = 3 * THRESHOLD.map  # columns 36 to 47 of the frame
    worst = HighScore(write_picture(tmp_path, "good", 7, 90.0), 1.5 * THRESHOLD.score, hot)

    (gallery,) = highest_held_out((worst,), THRESHOLD, tmp_path, FrameViewer(View(64, 64, LEFT_HALF)))

    changed = np.abs(decoded(gallery.tiles[0].overlay) - 90).max(axis=2) > 40
    assert changed[20:28, 38:46].all()
    assert not changed[:, :30].any()
    assert not changed[:, 56:].any()


def test_what_lies_above_the_threshold_has_a_white_line_around_it(tmp_path: Path) -> None:
    evaluation = evaluation_of(tmp_path, [("dent", 3 * THRESHOLD.map), ("good", 1.0)], masked=False)

    defect, good = (gallery.tiles[0] for gallery in galleries_of(evaluation, tmp_path))

    white = decoded(defect.overlay).min(axis=2) > 200
    assert white[:30, :32].sum() > 10
    assert not white[:, 40:].any()
    assert not (decoded(good.overlay).min(axis=2) > 200).any()


def test_a_picture_that_is_gone_is_named(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.pictures[3].path.unlink()

    with pytest.raises(PictureError, match=r"3\.png"):
        report_html(data_of(evaluation, tmp_path))


def test_the_report_shows_suspicious_good_pictures_as_the_model_sees_them(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    seen, strange = np.full((64, 96, 3), 90, np.uint8), np.full((8, 12), 6.0, np.float32)
    picture = Picture(tmp_path / "train/good/17.png", "good", None, "a")
    suspects = (Suspect(picture, seen, 6.0, strange, False), Suspect(picture, seen, 5.0, strange, True))

    (gallery,) = suspicious(suspects, tmp_path)
    page = Page(report_html(data_of(evaluation, tmp_path, suspects=suspects)))

    assert [(tile.name, tile.verdict) for tile in gallery.tiles] == [
        ("train/good/17.png", "learned as good"),
        ("train/good/17.png", "left out"),
    ]
    assert gallery.title in page.headings
    assert "1.50 × limit" in " ".join(page.words)
    assert suspicious((), tmp_path) == ()
