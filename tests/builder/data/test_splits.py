"""Dealing good pictures to learning, calibration and threshold."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from edge_build.data.pictures import DatasetError, Picture
from edge_build.data.splits import split
from edge_build.recipe.recipe import ThresholdSettings

CROSS_FITTED = ThresholdSettings(folds=5)
HELD_OUT = ThresholdSettings(method="held-out")


def pictures(count):
    return tuple(Picture(Path(f"{n:03}.png"), "good", None, f"hash {n}") for n in range(count))


def numbers(part):
    return [int(picture.path.stem) for picture in part]


@pytest.mark.parametrize("count", [4, 5, 8, 10, 37, 320])
def test_cross_fitted_folds_and_calibration_are_all_pictures_once(count):
    good = pictures(count)
    splits = split(good, CROSS_FITTED, 32, 0)
    assert splits.train == good
    dealt = [picture for fold in splits.folds for picture in fold]
    assert sorted(numbers([*dealt, *splits.calibration])) == list(range(count))
    assert all(splits.folds)


@pytest.mark.parametrize(("count", "folds"), [(4, 3), (5, 4), (8, 5), (320, 5)])
def test_few_pictures_make_fewer_folds(count, folds):
    assert len(split(pictures(count), CROSS_FITTED, 32, 0).folds) == folds


def test_a_folds_detector_does_not_see_it():
    splits = split(pictures(50), CROSS_FITTED, 32, 0)
    for index, fold in enumerate(splits.folds):
        seen = splits.train_without(index)
        assert not set(seen) & set(fold)
        assert len(seen) == 50 - len(fold)
        assert set(splits.calibration) <= set(seen)


def test_folds_are_made_of_blocks_of_neighbours_from_everywhere():
    splits = split(pictures(220), CROSS_FITTED, 1, 0)
    assert len(splits.calibration) == 1
    for fold in splits.folds:
        places = numbers(fold)
        breaks = sum(b - a > 2 for a, b in pairwise(places))
        assert breaks == 3  # four blocks; a step of two is the calibration picture
        assert len([p for p in places if p < 110]) in range(20, 25)
        assert 40 <= len(fold) <= 48


@pytest.mark.parametrize(("count", "wanted", "calibrating"), [(320, 32, 32), (1000, 32, 32), (100, 32, 10), (8, 32, 1)])
def test_calibration_takes_what_is_asked_for_up_to_a_tenth(count, wanted, calibrating):
    assert len(split(pictures(count), CROSS_FITTED, wanted, 0).calibration) == calibrating


@pytest.mark.parametrize(("count", "held"), [(4, 1), (10, 2), (100, 20), (323, 65)])
def test_held_out_keeps_a_share_that_does_not_teach(count, held):
    splits = split(pictures(count), HELD_OUT, 32, 0)
    kept = [picture for fold in splits.folds for picture in fold]
    assert len(kept) == held
    assert sorted(numbers([*splits.train, *kept])) == list(range(count))
    assert set(splits.calibration) <= set(splits.train)
    assert all(splits.train_without(index) == splits.train for index in range(len(splits.folds)))


def test_every_fold_of_a_held_out_share_is_a_block_of_neighbours_in_a_quarter_of_its_own():
    folds = split(pictures(200), HELD_OUT, 32, 0).folds
    for quarter, fold in enumerate(folds):
        block = numbers(fold)
        assert block == list(range(block[0], block[0] + 10))
        assert quarter * 50 <= block[0] <= block[-1] < (quarter + 1) * 50


def test_what_judges_a_held_out_fold_may_know_the_others_and_what_serves_all():
    splits = split(pictures(200), HELD_OUT, 32, 0)
    for index, fold in enumerate(splits.folds):
        known = splits.known_without(index)
        assert not set(known) & {*fold, *splits.train}
        assert len(known) == 30
    assert numbers(splits.known_without()) == [number for fold in splits.folds for number in numbers(fold)]


def test_cross_fitted_everything_known_was_learned_from():
    splits = split(pictures(50), CROSS_FITTED, 32, 0)
    assert splits.known_without() == splits.known_without(0) == ()


@pytest.mark.parametrize("threshold", [CROSS_FITTED, HELD_OUT])
def test_the_same_seed_deals_the_same_and_another_does_not(threshold):
    good = pictures(100)
    assert split(good, threshold, 32, 3) == split(good, threshold, 32, 3)
    assert split(good, threshold, 32, 3) != split(good, threshold, 32, 4)


@pytest.mark.parametrize("threshold", [CROSS_FITTED, HELD_OUT])
def test_copies_stay_together(threshold):
    copies = tuple(Picture(Path(f"9{n:02}.png"), "good", None, f"hash {n}") for n in range(20))
    splits = split(pictures(20) + copies, threshold, 4, 1)
    parts = [splits.calibration, *splits.folds]
    for part in parts:
        kept = {picture.sha256 for picture in part}
        assert len(part) == 2 * len(kept)
        assert all(kept.isdisjoint(p.sha256 for p in other) for other in parts if other is not part)


def test_too_few_different_pictures_are_refused():
    with pytest.raises(DatasetError, match="only 3 different good pictures, at least 4 are needed to learn, calibrate"):
        split(pictures(3) + pictures(3), CROSS_FITTED, 32, 0)


def test_merged_folds_are_judged_without_any_of_their_pictures():
    splits = split(pictures(50), CROSS_FITTED, 32, 0)

    merged = splits.merged([(0, 2), (1, 3, 4)])

    assert [len(fold) for fold in merged.folds] == [
        len(splits.folds[0]) + len(splits.folds[2]),
        sum(len(splits.folds[number]) for number in (1, 3, 4)),
    ]
    assert merged.train_without(1) == splits.train_without(1, 3, 4)
    assert not set(merged.train_without(0)) & set(merged.folds[0])
