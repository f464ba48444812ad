from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_build.acceptance.held_out import HighScore
from edge_build.data.pictures import Picture
from edge_build.detectors.protocol import Example
from edge_build.evaluation.result import Evaluation
from edge_build.graphs.parity import Parity
from edge_build.report.gallery import galleries_of, training_examples
from edge_build.report.histogram import Series, histogram
from edge_build.report.operating_points import operating_points
from edge_build.report.page import ReportData, percent, report_html, share, write_report
from edge_calibration.threshold import threshold_from_good
from edge_runtime.bundle.manifest import Dataset, GraphEntry, Manifest, Threshold, Tolerance
from edge_runtime.errors import PictureError
from edge_runtime.imaging.preprocess import PREPROCESSING
from edge_runtime.records import ErrorCode, FrameFault, Outcome, Precision

SIZE = 32
HELD_OUT = np.linspace(10.0, 20.0, 120)
THRESHOLD = threshold_from_good(HELD_OUT, HELD_OUT, 0.01, "cross-fitted")


class Page(HTMLParser):
    """Reads a page and keeps what the tests ask about; fails on tags that do not nest."""

    VOID = frozenset({"meta", "img", "br", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.headings: list[str] = []
        self.feed(html)
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] != "style":
            self.words.append(data)
        if self.stack and self.stack[-1] in ("h2", "h3"):
            self.headings.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())  # narrow spaces become plain ones too


def manifest(threshold: Threshold = THRESHOLD, recipe: str = "name: parts\n") -> Manifest:
    return Manifest(
        schema_version=1,
        name="parts",
        version="2.1",
        detector="patchcore",
        backbone="efficientnet-lite0",
        height=SIZE,
        width=SIZE,
        preprocessing=PREPROCESSING,
        graphs={Precision.FP32: GraphEntry(file="model.fp32.onnx", threshold=threshold)},
        golden=(),
        tolerance=Tolerance(score=0.001, map=0.002),
        dataset=Dataset(
            name="parts", fingerprint="ab" * 32, train=90, calibration=10, threshold=120, test_good=3, test_defect=3
        ),
        figures={},
        recipe=recipe,
        seed=7,
        builder="edge-build 9.9",
        files={},
    )


def write_picture(root: Path, label: str, index: int, score: float, mask: bool = True) -> Picture:
    path = root / "test" / label / f"{index}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((48, 96, 3), int(score), np.uint8))
    return Picture(path, label, path if mask and label != "good" else None, "0" * 64)


def evaluation_of(root: Path, scored: list[tuple[str, float]], masked: bool = True) -> Evaluation:
    """Pictures with these labels and scores; the defect is the map's upper left corner."""
    pictures = tuple(write_picture(root, label, i, score) for i, (label, score) in enumerate(scored))
    scores = np.array([score for _, score in scored], np.float64)
    maps = np.full((len(scored), SIZE, SIZE), 9.0, np.float32)
    maps[:, :8, :8] = scores[:, None, None]
    mask = np.zeros((SIZE, SIZE), np.bool_)
    mask[:8, :8] = True
    masks: list[NDArray[np.bool_] | None] = [
        np.zeros_like(mask) if p.label == "good" else mask if masked else None for p in pictures
    ]
    outcomes = tuple(Outcome.NOK if score > THRESHOLD.score else Outcome.OK for score in scores)
    latencies = np.full(len(scored), 12.5)
    return Evaluation(
        pictures, scores, maps, tuple(masks), latencies, outcomes, (None,) * len(scored), THRESHOLD, "an engine"
    )


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    scored = [("good", 12.0), ("good", 14.0), ("good", 23.0), ("dent", 15.0), ("dent", 40.0), ("hole", 30.0)]
    return evaluation_of(tmp_path, scored)


def data_of(evaluation: Evaluation | None, root: Path, **changes: object) -> ReportData:
    evaluations = {} if evaluation is None else {Precision.FP32: evaluation}
    data = {"manifest": manifest(), "notes": ("left out 2 exact copies",)} | changes
    return ReportData(
        held_out={Precision.FP32: HELD_OUT}, evaluations=evaluations, parity=Parity(4, 1e-5, 2e-5), root=root, **data
    )  # type: ignore[arg-type]


def test_the_report_tells_what_was_found_rejected_and_guaranteed(evaluation: Evaluation, tmp_path: Path) -> None:
    page = Page(report_html(data_of(evaluation, tmp_path)))

    assert "It found 2 of 3 pictures of defects and rejected 1 of 3 good ones" in page.text
    assert "66.7 % 2/3" in page.text
    assert "at most 0.83 %" in page.text
    assert "1 of 3 1 of 3 12.5 12.5" in page.text  # missed, false rejects, milliseconds
    assert "edge-build 9.9" in page.text
    assert "name: parts" in page.text
    assert "left out 2 exact copies" in page.text
    assert "ab" * 32 in page.text


def test_the_report_needs_nothing_from_elsewhere(evaluation: Evaluation, tmp_path: Path) -> None:
    html = report_html(data_of(evaluation, tmp_path))

    page = Page(html)
    assert page.sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert not re.search(r"https?:|@import|url\(|<script", html)
    assert len(html) < 3_000_000


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


def test_without_test_pictures_the_report_tells_of_the_threshold_alone(tmp_path: Path) -> None:
    page = Page(report_html(data_of(None, tmp_path)))

    assert "There were no test pictures" in page.text
    assert "Held-out good" in page.text
    assert "Detection by kind" not in page.headings
    assert page.sources == []


def test_without_defect_pictures_nothing_is_claimed_about_defects(tmp_path: Path) -> None:
    page = Page(report_html(data_of(evaluation_of(tmp_path, [("good", 12.0), ("good", 13.0)]), tmp_path)))

    assert "It rejected 0 of 2 good test pictures. There were no pictures of defects" in page.text
    assert "Defects found" not in page.text


def test_without_good_test_pictures_only_detection_is_reported(tmp_path: Path) -> None:
    page = Page(report_html(data_of(evaluation_of(tmp_path, [("dent", 30.0)]), tmp_path)))

    assert "It found 1 of 1 pictures of defects, in test pictures" in page.text
    assert "Good parts rejected, measured" not in page.text


def test_defects_without_masks_are_named_as_left_out_of_the_pixel_figures(tmp_path: Path) -> None:
    evaluation = evaluation_of(tmp_path, [("good", 12.0), ("dent", 30.0)], masked=False)

    page = Page(report_html(data_of(evaluation, tmp_path)))

    assert "1 of 1 defect pictures have no mask" in page.text


def test_the_good_pictures_that_set_the_threshold_are_shown_with_their_maps(tmp_path: Path) -> None:
    worst = HighScore(write_picture(tmp_path, "good", 7, 90.0), 1.5 * THRESHOLD.score, np.zeros((8, 8), np.float32))

    page = Page(report_html(data_of(None, tmp_path, highest=(worst,))))

    assert "The good pictures that set the threshold" in page.headings
    assert "NOK: false reject 1.50 × threshold test/good/7.png" in page.text
    assert len(page.sources) == 2


def test_other_rates_are_reported_with_what_they_would_have_done(evaluation: Evaluation, tmp_path: Path) -> None:
    points = operating_points(HELD_OUT, THRESHOLD, evaluation)

    assert [point.rate for point in points if point.asked] == [THRESHOLD.false_reject_rate]
    assert [point.threshold for point in points] == sorted((p.threshold for p in points), reverse=True)
    assert next(p.threshold for p in points if p.asked) == THRESHOLD.score
    for point in points:
        assert point.false_rejects == sum(score > point.threshold for score in (12.0, 14.0, 23.0))
        assert point.found == sum(score > point.threshold for score in (15.0, 40.0, 30.0))
    page = Page(report_html(data_of(evaluation, tmp_path)))
    assert "Other rates" in page.headings
    assert "(this bundle)" in page.text


def refused(evaluation: Evaluation, *labels: str) -> Evaluation:
    """All pictures of these kinds are beyond the limits of frames."""
    fault = FrameFault(ErrorCode.FRAME_WRONG_SIZE, "the frame is 96 x 48 pixels")
    faults = tuple(fault if picture.label in labels else None for picture in evaluation.pictures)
    outcomes = tuple(Outcome.ERROR if f else o for f, o in zip(faults, evaluation.outcomes, strict=True))
    return replace(evaluation, outcomes=outcomes, faults=faults)


def test_pictures_that_a_line_does_not_judge_are_no_part_of_any_share(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation = refused(evaluation, "dent")

    page = Page(report_html(data_of(evaluation, tmp_path)))

    assert "It found 1 of 1 pictures of defects and rejected 1 of 3 good ones" in page.text
    assert "2 of 6 test pictures are not judged" in page.text
    assert "2 × ERROR 110, the first is test/dent/3.png: the frame is 96 x 48 pixels." in page.text
    assert "dent 2 0 2 –" in page.text
    assert "hole 1 1 0 100.0" in page.text
    assert [point.found for point in operating_points(HELD_OUT, THRESHOLD, evaluation) if point.asked] == [1]


def test_a_report_on_pictures_that_a_line_does_not_judge_claims_nothing(evaluation: Evaluation, tmp_path: Path) -> None:
    no_defect = Page(report_html(data_of(refused(evaluation, "dent", "hole"), tmp_path)))
    nothing = Page(report_html(data_of(refused(evaluation, "dent", "hole", "good"), tmp_path)))

    assert "It rejected 1 of 3 good test pictures. No picture of a defect was judged." in no_defect.text
    assert "Nothing was judged: all test pictures are beyond the limits of frames" in nothing.text
    assert "Defects found" not in nothing.text


def test_names_and_recipes_are_shown_and_never_obeyed(tmp_path: Path) -> None:
    evaluation = evaluation_of(tmp_path, [("good", 12.0), ("<b>dent", 30.0)])
    evil = manifest(recipe="name: </pre><script>alert(1)</script>\n")

    html = report_html(data_of(evaluation, tmp_path, manifest=evil, notes=("<i>a note",)))

    assert "<script" not in html
    assert "&lt;b&gt;dent" in html
    assert "&lt;i&gt;a note" in html
    Page(html)


def test_a_threshold_on_too_few_pictures_is_warned_of(tmp_path: Path) -> None:
    few = threshold_from_good(HELD_OUT[:20], HELD_OUT[:20], 0.01, "held-out")

    page = Page(report_html(data_of(None, tmp_path, manifest=manifest(few))))

    assert "20 held-out good pictures are too few" in page.text
    assert "no known end" in page.text


def test_the_report_is_written_at_once_and_the_same_each_time(evaluation: Evaluation, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", data_of(evaluation, tmp_path))

    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report_html(data_of(evaluation, tmp_path))


def test_a_picture_that_is_gone_is_named(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.pictures[3].path.unlink()

    with pytest.raises(PictureError, match=r"3\.png"):
        report_html(data_of(evaluation, tmp_path))


def test_bars_right_of_the_threshold_hold_exactly_the_nok_pictures() -> None:
    above = float(np.nextafter(THRESHOLD.score, np.inf))
    scores = np.array([1.0, 12.0, THRESHOLD.score, THRESHOLD.score, above, 30.0, 1e6])

    chart = histogram([Series("All", "defect", scores)], THRESHOLD)

    (row,) = chart.rows
    right = [bar for bar in row.bars if bar.x > chart.threshold]
    assert row.nok == 3
    assert [bar.tip.split(" picture")[0] for bar in right] == ["1", "1", "1"]
    assert chart.overflow == 1
    assert all(chart.left <= bar.x and bar.x + bar.width <= chart.right for bar in row.bars)


@pytest.mark.parametrize("scores", [[5.0], [0.0, 0.0], [], [1e-9, 1e9]])
def test_a_histogram_can_be_drawn_of_anything(scores: list[float]) -> None:
    chart = histogram([Series("All", "good", np.array(scores, np.float64))], THRESHOLD)

    assert len(chart.rows) == bool(scores)
    assert 2 <= len(chart.ticks) <= 9
    assert chart.left < chart.threshold < chart.right


def test_numbers_read_as_a_person_would_write_them() -> None:
    assert percent(0.12345) == "12.3\u202f%"
    assert (share(None), share(0.9876)) == ("–", "98.8")
