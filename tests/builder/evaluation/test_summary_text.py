from __future__ import annotations

from pathlib import Path

from tests.support.brightest_pixel import blackened

from edge_build.evaluation.result import Evaluation
from edge_build.evaluation.summary import (
    figures,
    summarize,
)
from edge_build.evaluation.summary_text import outcome_text, summary_text
from edge_runtime.records import Precision


def test_the_outcome_of_a_build_warns_when_most_defects_pass(evaluation: Evaluation) -> None:
    measured = figures(evaluation)

    few = outcome_text(
        measured.model_copy(update={"defect": 10, "missed_defects": 6, "false_rejects": 1, "good": 20}), 0
    )
    enough = outcome_text(
        measured.model_copy(update={"defect": 10, "missed_defects": 5, "false_rejects": 0, "good": 20}), 0
    )
    refused = outcome_text(measured.model_copy(update={"defect": 9, "missed_defects": 0, "good": 20}), 12)

    assert few.startswith(
        "on the test pictures 6 of 10 defects pass as OK, and 1 of 20 good parts are rejected\nmost defects "
    )
    assert enough == "on the test pictures 5 of 10 defects pass as OK, and 0 of 20 good parts are rejected"
    assert refused.startswith("warning: 12 of 29 test pictures are beyond the limits of frames; a line answers ERROR")


def test_when_nothing_at_all_was_judged_it_is_reported_in_words(root: Path) -> None:
    summary = summarize(blackened(root, "good", "scratch", "dent"), "parts-1", Precision.FP32, root)

    assert summary.nothing_judged
    assert "  NOTHING WAS JUDGED: all 6 pictures are beyond the bundle's limits" in summary_text(summary)


def test_the_summary_reads_well_on_a_terminal(evaluation: Evaluation, root: Path) -> None:
    text = summary_text(summarize(evaluation, "parts-1", Precision.FP32, root, ("A note.",)))

    assert "parts-1 fp32 on parts, brightest pixel" in text
    assert "image AUROC  88.89%   3 good, 3 defect" in text
    assert "scratch     1 of    2 NOK      0 ERROR   95 % interval 1.3% to 98.7%" in text
    assert "missed: test/scratch/1.png" in text
    assert "false rejects: test/good/2.png" in text
    assert "A note." in text
    assert max(map(len, text.splitlines())) <= 100
