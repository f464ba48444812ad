from __future__ import annotations

from pathlib import Path

from tests.support.report_page import HELD_OUT, THRESHOLD, Page, data_of

from edge_build.evaluation.result import Evaluation
from edge_build.report.operating_points import operating_points
from edge_build.report.page import report_html


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
