from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from tests.support.report_page import HELD_OUT, THRESHOLD, Page, data_of, evaluation_of, manifest

from edge_build.evaluation.result import Evaluation
from edge_build.report.operating_points import operating_points
from edge_build.report.page import report_html, write_report
from edge_build.report.templates import percent, share
from edge_calibration.threshold import threshold_from_good
from edge_runtime.records import ErrorCode, FrameFault, Outcome


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


def test_numbers_read_as_a_person_would_write_them() -> None:
    assert percent(0.12345) == "12.3\u202f%"
    assert (share(None), share(0.9876)) == ("–", "98.8")
