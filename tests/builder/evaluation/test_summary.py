from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.brightest_pixel import SIZE, THRESHOLD, BrightestPixel, blackened

from edge_build.data.dataset import scan_dataset
from edge_build.evaluation.evaluate import evaluate
from edge_build.evaluation.result import Evaluation
from edge_build.evaluation.summary import (
    detections,
    figures,
    share_interval,
    summarize,
)
from edge_build.evaluation.summary_text import summary_text
from edge_build.progress import SilentProgress
from edge_runtime.imaging.see import whole_frame_viewer
from edge_runtime.inspection.judge import Judge
from edge_runtime.records import Outcome, Precision


def test_figures_count_misses_and_false_rejects(evaluation: Evaluation) -> None:
    found = figures(evaluation)

    assert (found.good, found.defect, found.false_rejects, found.missed_defects) == (3, 3, 1, 1)
    assert found.image_auroc == pytest.approx(8 / 9, abs=1e-12)  # one of nine pairs is in the wrong order
    assert found.pixel_auroc is not None
    assert 0.99 < found.pixel_auroc < 1


def test_detection_is_reported_by_kind_with_good_first(evaluation: Evaluation) -> None:
    kinds = detections(evaluation)

    assert [(k.kind, k.pictures, k.nok) for k in kinds] == [("good", 3, 1), ("dent", 1, 1), ("scratch", 2, 1)]
    assert kinds[2].median_score == 170
    assert kinds[2].nok_share_low < 0.5 < kinds[2].nok_share_high


def test_a_black_picture_is_an_error_as_on_the_line_and_not_a_missed_defect(root: Path) -> None:
    cv2.imwrite(str(root / "test" / "scratch" / "0.png"), np.zeros((SIZE, SIZE, 3), np.uint8))
    dataset = scan_dataset(root)

    evaluation = evaluate(
        Judge(BrightestPixel(), THRESHOLD, whole_frame_viewer(SIZE, SIZE)), dataset.test, SilentProgress()
    )

    assert evaluation.outcomes.count(Outcome.ERROR) == 1
    summary = summarize(evaluation, "parts-1", Precision.FP32, root)
    assert summary.errors == ("test/scratch/0.png",)
    assert summary.missed == ("test/scratch/1.png",)


def test_shares_are_of_the_judged_pictures_and_the_warning_comes_first(root: Path) -> None:
    summary = summarize(blackened(root, "scratch"), "parts-1", Precision.FP32, root)

    scratch = next(kind for kind in summary.kinds if kind.kind == "scratch")
    assert (scratch.pictures, scratch.judged, scratch.nok, scratch.errors) == (2, 0, 0, 2)
    assert (scratch.nok_share_low, scratch.nok_share_high) == (0, 1)
    assert (summary.judged_good, summary.judged_defect, summary.nothing_judged) == (3, 1, False)
    (why,) = summary.not_judged
    assert (why.code, why.pictures, why.first) == (104, 2, "test/scratch/0.png")
    text = summary_text(summary)
    assert text.splitlines()[2].startswith("  WARNING: 2 of 6 pictures are NOT JUDGED.")
    assert "2 x ERROR 104, the first is test/scratch/0.png:\n    at most 1 % of the pixels are brighter than 0" in text
    assert "3 good, 3 defect (2 of them not judged; metrics are of all)" in text
    assert "scratch     0 of    0 NOK      2 ERROR   none was judged" in text
    assert "dent        1 of    1 NOK      0 ERROR   95 % interval" in text


def test_a_good_part_that_is_not_judged_is_no_good_part_that_passes(root: Path) -> None:
    (good, *_) = detections(blackened(root, "good"))

    assert (good.pictures, good.judged, good.errors) == (3, 0, 3)


def test_no_pictures_give_an_evaluation_without_figures(root: Path) -> None:
    evaluation = evaluate(Judge(BrightestPixel(), THRESHOLD, whole_frame_viewer(SIZE, SIZE)), (), SilentProgress())

    summary = summarize(evaluation, "parts-1", Precision.FP32, root)
    assert summary.figures.image_auroc is None
    assert summary.latency is None
    assert "image AUROC" in summary_text(summary)


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson() -> None:
    assert share_interval(0, 0) == (0.0, 1.0)
    assert share_interval(0, 10) == (0.0, pytest.approx(0.3085, abs=5e-5))  # as tabulated
    assert share_interval(5, 10) == (pytest.approx(0.1871, abs=5e-5), pytest.approx(0.8129, abs=5e-5))
    assert share_interval(10, 10) == (pytest.approx(0.6915, abs=5e-5), 1.0)
