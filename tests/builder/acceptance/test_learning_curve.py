"""Scores of detectors that know fewer pictures, taken to those of the one that serves."""

from __future__ import annotations

import numpy as np
import pytest

from edge_build.acceptance.learning_curve import Counts, factor_when_serving, mean_known, pairs_of


def test_scores_that_fall_as_a_power_of_the_number_of_pictures_become_those_of_the_detector_that_serves() -> None:
    strangeness = np.array([3.0, 5.0, 8.0])
    served, one, two = (strangeness * pictures**-0.2 for pictures in (100, 90, 80))

    factor = factor_when_serving(one, two, Counts(two=80, one=90, serving=100))

    np.testing.assert_allclose(one * factor, served, rtol=1e-12)  # float64


def test_chance_that_makes_scores_higher_with_more_pictures_changes_nothing() -> None:
    assert factor_when_serving(np.array([2.0, 4.0]), np.array([1.9, 3.9]), Counts(80, 90, 100)) == 1


def test_pictures_that_score_zero_say_nothing() -> None:
    one, two = np.array([0.0, 4.0]), np.array([1.0, 4.0])

    assert factor_when_serving(one, two, Counts(80, 90, 100)) == 1
    assert factor_when_serving(one * 0, two, Counts(80, 90, 100)) == 1


def test_detectors_that_know_as_many_pictures_need_no_correction() -> None:
    assert factor_when_serving(np.array([1.0]), np.array([2.0]), Counts(90, 90, 100)) == 1


@pytest.mark.parametrize(
    ("folds", "pairs"),
    [
        (3, []),
        (4, [(0, 2), (1, 3)]),
        (5, [(0, 2), (1, 3, 4)]),
        (10, [(0, 5), (1, 6), (2, 7), (3, 8), (4, 9)]),
    ],
)
def test_every_fold_is_in_one_pair(folds: int, pairs: list[tuple[int, ...]]) -> None:
    assert pairs_of(folds) == pairs


def test_a_picture_counts_by_the_detector_that_scores_it() -> None:
    # 10 pictures are scored by one that knows 90, 30 by one that knows 70
    assert mean_known(100, [10, 30], [(0,), (1,)]) == pytest.approx(75)
