"""Bundles side by side: at equal false rejects, with paired intervals, chosen and measured on different pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.brightest_pixel import THRESHOLD

from edge_build.data.pictures import DatasetError, Picture
from edge_build.evaluation.comparison import compare, halves, image_auroc
from edge_build.evaluation.comparison_text import comparison_text
from edge_build.evaluation.result import Evaluation
from edge_runtime.records import Outcome

ROOT = Path("/pictures/parts")


def evaluation(good: list[float], **defects: list[float]) -> Evaluation:
    """Scores of good pictures and of each kind of defect; a threshold of 150."""
    labelled = [("good", score) for score in good]
    labelled += [(kind, score) for kind, scores in defects.items() for score in scores]
    pictures = tuple(
        Picture(ROOT / f"test/{label}/{number:03}.png", label, None, f"{number:03}")
        for number, (label, _) in enumerate(labelled)
    )
    scores = np.array([score for _, score in labelled])
    maps = np.repeat(scores.astype(np.float32)[:, None, None], 4, 1).repeat(4, 2)
    none = (None,) * len(pictures)
    outcomes = tuple(Outcome.NOK if score > THRESHOLD.score else Outcome.OK for score in scores)
    return Evaluation(pictures, scores, maps, none, np.ones(len(pictures)), outcomes, none, THRESHOLD, "made")


GOOD = [float(100 + n) for n in range(20)]
SHARP = evaluation(GOOD, dent=[300.0] * 10, scratch=[118.5] * 5)
BLUNT = evaluation(GOOD, dent=[300.0] * 6 + [110.0] * 4, scratch=[90.0] * 5)


def test_each_bundle_rejects_as_many_good_pictures_and_finds_what_it_then_finds() -> None:
    doubled = evaluation([2 * score for score in GOOD], dent=[600.0] * 10, scratch=[237.0] * 5)

    found = compare({"sharp-1": SHARP, "doubled-1": doubled}, ROOT, 0.05, 0)

    assert (found.good, found.defects, found.rejected) == (20, 15, 1)
    first, second = found.rows
    assert (first.equal_threshold, second.equal_threshold) == (118, 236)
    assert first.equal_found == second.equal_found == 15
    assert (first.found, first.false_rejects) == (10, 0)  # at its own threshold
    assert (second.found, second.false_rejects) == (15, 20)
    assert second.auroc_difference is not None
    assert (second.auroc_difference.low, second.auroc_difference.high) == (0, 0)
    assert found.differing == ()


def test_a_bundle_that_finds_less_of_every_kind_is_worse_beyond_chance() -> None:
    found = compare({"sharp-1": SHARP, "blunt-1": BLUNT}, ROOT, 0.05, 0)

    _, second = found.rows
    assert found.kinds == {"dent": 10, "scratch": 5}
    assert [row.found_of_kind for row in found.rows] == [{"dent": 10, "scratch": 5}, {"dent": 6, "scratch": 0}]
    for difference in (second.auroc_difference, second.found_difference):
        assert difference is not None
        assert difference.high < 0
        assert difference.certain
    # nine defects, and the one good picture above both thresholds is the same
    assert {one.label for one in found.differing} == {"dent", "scratch"}
    assert len(found.differing) == 9
    assert found.differing[0].picture == "test/dent/026.png"  # farthest apart: 300 beside 110
    assert found.differing[0].ratios == pytest.approx((300 / 118, 110 / 118))


def test_a_difference_of_one_picture_in_fifteen_may_be_chance() -> None:
    other = evaluation(GOOD, dent=[300.0] * 9 + [100.0], scratch=[118.5] * 5)

    _, row = compare({"sharp-1": SHARP, "other-1": other}, ROOT, 0.05, 0).rows

    assert row.found_difference is not None
    assert row.found_difference.low < 0 <= row.found_difference.high
    assert not row.found_difference.certain


def test_the_same_seed_gives_the_same_intervals() -> None:
    first, again, another = (compare({"a-1": SHARP, "b-1": BLUNT}, ROOT, 0.05, seed) for seed in (3, 3, 4))

    assert first == again
    assert first.rows[1].auroc_difference != another.rows[1].auroc_difference


def test_what_is_chosen_on_one_half_is_measured_on_the_other() -> None:
    choice = compare({"blunt-1": BLUNT, "sharp-1": SHARP}, ROOT, 0.05, 0).choice

    assert choice is not None
    assert choice.bundle == "sharp-1"
    assert (choice.chosen_on, choice.measured_on) == (18, 17)
    assert choice.measured_defects == 7


def test_few_pictures_are_not_halved() -> None:
    few = evaluation(GOOD, dent=[300.0] * 9)

    assert compare({"a-1": few, "b-1": few}, ROOT, 0.05, 0).choice is None


def test_halves_have_every_second_picture_of_each_label_whatever_their_order() -> None:
    chooses = halves(SHARP.pictures)

    assert [int(chooses[start:stop].sum()) for start, stop in ((0, 20), (20, 30), (30, 35))] == [10, 5, 3]
    assert halves(SHARP.pictures[::-1])[::-1].tolist() == chooses.tolist()


def test_image_auroc_counts_a_tie_half() -> None:
    scores = np.array([1.0, 2.0, 2.0, 3.0])

    assert image_auroc(scores, np.array([0, 1]), np.array([2, 3])) == pytest.approx(3.5 / 4)


@pytest.mark.parametrize("only", [evaluation(GOOD), evaluation([], dent=[1.0])], ids=["good", "defects"])
def test_a_dataset_without_both_is_refused(only: Evaluation) -> None:
    with pytest.raises(DatasetError, match=r"good test pictures and \d+ of defects: to compare takes some of both"):
        compare({"a-1": only, "b-1": only}, ROOT, 0.05, 0)


def test_a_comparison_reads_as_a_table() -> None:
    lines = comparison_text(compare({"sharp-1": SHARP, "blunt-1": BLUNT}, ROOT, 0.05, 0, ("a note",))).splitlines()

    assert lines[0] == "parts: 20 good test pictures, 15 of defects"
    assert lines[1].split() == ["sharp-1", "blunt-1"]
    assert any(line.split() == ["dent", "(10)", "10", "6"] for line in lines)
    assert any(line.startswith("chosen on 18 of the pictures: sharp-1 (image AUROC ") for line in lines)
    assert "9 pictures that they judge differently (score / threshold, bundle by bundle):" in lines
    assert "  test/dent/026.png: 2.54, 0.93" in lines
    assert lines[-1] == "a note"
