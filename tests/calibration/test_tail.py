"""A fitted tail: what a quantile would be if the highest scores were like all others."""

from __future__ import annotations

import numpy as np
import pytest

from edge_calibration.tail import fit_tail, tail_text


def log_normal(count: int, seed: int = 0) -> np.ndarray:
    return np.exp(3 + 0.1 * np.random.default_rng(seed).standard_normal(count))


def test_a_log_normal_tail_is_found_again() -> None:
    tail = fit_tail(log_normal(20_000))

    assert tail is not None
    assert tail.quantile(0.01) == pytest.approx(np.exp(3 + 0.1 * 2.326), rel=0.01)  # of 20,000 samples
    np.testing.assert_allclose(tail.deviation(np.exp([3.0, 3.4])), [0, 4], atol=0.1)


def test_one_picture_that_looks_bad_moves_the_fit_little_and_the_largest_score_much() -> None:
    scores = log_normal(60)
    spoilt = np.append(scores[:-1], 2 * scores.max())

    before, after = fit_tail(scores), fit_tail(spoilt)

    assert before is not None
    assert after is not None
    assert after.quantile(0.01) == pytest.approx(before.quantile(0.01), rel=0.05)
    assert spoilt.max() == 2 * scores.max()


@pytest.mark.parametrize("scores", [np.ones(50), np.arange(1.0, 8.0), np.zeros(50)], ids=["alike", "few", "zero"])
def test_without_a_spread_there_is_no_fit(scores: np.ndarray) -> None:
    assert fit_tail(scores) is None
    assert tail_text(scores, 1.0, 0.01) is None


def test_a_score_of_zero_is_no_exception() -> None:
    tail = fit_tail(log_normal(50))

    assert tail is not None
    assert tail.deviation(np.zeros(1)).tolist() == [-np.inf]


def test_a_threshold_far_above_the_fit_is_said_to_rest_on_few_pictures() -> None:
    scores = np.append(log_normal(99), 100.0)

    text = tail_text(scores, 100.0, 0.01)

    assert text is not None
    assert "above that, and rests on" in text
    assert "of 100 pictures" in text


def test_a_threshold_near_the_fit_needs_no_remark() -> None:
    scores = log_normal(200)

    text = tail_text(scores, float(np.sort(scores)[198]), 0.01)

    assert text is not None
    assert text.startswith("a tail fitted to their scores puts it at ")
    assert text.endswith("without a promise")
