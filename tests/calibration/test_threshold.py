"""The threshold is the conformal quantile, and what it promises holds in simulation.

Simulations are seeded. Their tolerance is four standard errors of the simulated mean, unless stated otherwise.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_calibration.threshold import pictures_needed, scale_near, shortage, threshold_from_good, threshold_like
from edge_runtime.bundle.manifest import Threshold
from edge_runtime.errors import EdgeError
from edge_runtime.inspection.judge import decide
from edge_runtime.records import Inspection, Outcome


def threshold_of(scores: NDArray[np.float64], rate: float) -> Threshold:
    return threshold_from_good(scores, 2 * scores, rate, "held-out")


@pytest.mark.parametrize(
    ("count", "rate", "rank"),
    [(99, 0.01, 99), (99, 0.1, 90), (100, 0.05, 96), (19, 0.05, 19), (29, 0.1, 27), (9, 0.5, 5), (69, 0.9, 7)],
)
def test_the_threshold_is_the_conformal_order_statistic(count: int, rate: float, rank: int) -> None:
    scores = np.arange(1.0, count + 1)

    threshold = threshold_of(np.random.default_rng(0).permutation(scores), rate)

    assert threshold.score == rank
    assert threshold.map == 2 * rank
    assert threshold.false_reject_rate_guaranteed == (count + 1 - rank) / (count + 1)
    assert threshold.pictures == count


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_rate_means_the_decimal_number_that_was_written(percent: int) -> None:
    threshold = threshold_of(np.arange(1.0, 100.0), percent / 100)

    assert threshold.score == 100 - percent


def test_too_few_pictures_give_the_largest_score_and_say_how_many_are_needed() -> None:
    threshold = threshold_of(np.arange(1.0, 21.0), 0.001)

    assert threshold.score == 20
    assert threshold.score_high is None
    assert threshold.false_reject_rate_guaranteed == pytest.approx(1 / 21)
    text = shortage(threshold)
    assert text is not None
    assert text.startswith("20 held-out good pictures are too few for a false reject rate of 0.1 %:")
    assert "up to 4.8 % of the good parts" in text
    assert text.endswith("999 held-out ones guarantee it")


def test_the_number_of_pictures_needed_is_the_smallest_that_suffices() -> None:
    for rate in (0.5, 0.3, 0.1, 0.01, 0.003):
        needed = pictures_needed(rate)
        assert needed is not None
        assert shortage(threshold_of(np.arange(1.0, needed + 1), rate)) is None
        if needed > 1:
            assert shortage(threshold_of(np.arange(1.0, needed), rate)) is not None


def test_a_rate_of_zero_is_the_largest_score_and_cannot_be_guaranteed() -> None:
    threshold = threshold_of(np.arange(1.0, 21.0), 0.0)

    assert threshold.score == threshold.score_low == 20
    assert str(shortage(threshold)).endswith("no number of pictures guarantees a rate of 0")


def test_one_picture_is_enough_to_set_a_threshold_and_promises_little() -> None:
    threshold = threshold_of(np.array([3.0]), 0.1)

    assert threshold.score == 3
    assert (threshold.score_low, threshold.score_high) == (0, None)
    assert threshold.false_reject_rate_guaranteed == 0.5
    assert threshold.false_reject_rate_high > 0.97


def test_a_score_equal_to_the_threshold_is_ok_and_the_next_float_is_nok() -> None:
    scores = np.random.default_rng(1).random(200).astype(np.float32)  # as an engine delivers them
    threshold = threshold_from_good(scores, scores, 0.05, "cross-fitted")
    calm = np.zeros((2, 2), np.float32)

    at = Inspection(threshold.score, calm)
    above = Inspection(float(np.nextafter(np.float32(threshold.score), np.float32(9))), calm)

    assert decide(at, threshold, 2, 2).outcome is Outcome.OK
    assert decide(above, threshold, 2, 2).outcome is Outcome.NOK
    assert sum(decide(Inspection(float(s), calm), threshold, 2, 2).outcome is Outcome.NOK for s in scores) == 9


def test_the_threshold_survives_the_manifest_bit_for_bit() -> None:
    threshold = threshold_of(np.random.default_rng(2).random(50), 0.05)

    assert Threshold.model_validate_json(threshold.model_dump_json()) == threshold


@pytest.mark.parametrize(("count", "rate"), [(50, 0.05), (99, 0.01), (30, 0.01)])
def test_fresh_good_parts_are_rejected_at_the_guaranteed_rate_and_the_intervals_cover(count: int, rate: float) -> None:
    """Scores are exponential, so that the true rate above t is exp(-t) and the true quantile -log(rate)."""
    rng = np.random.default_rng(3)
    rounds = 1500
    thresholds = [threshold_of(rng.exponential(size=count), rate) for _ in range(rounds)]
    true_rates = np.array([math.exp(-t.score) for t in thresholds])

    standard_error = true_rates.std() / math.sqrt(rounds)
    assert true_rates.mean() == pytest.approx(thresholds[0].false_reject_rate_guaranteed, abs=4 * standard_error)

    covered = [
        t.false_reject_rate_low <= r <= t.false_reject_rate_high for t, r in zip(thresholds, true_rates, strict=True)
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / rounds))

    quantile = -math.log(rate)
    enclosed = [t.score_low <= quantile <= (math.inf if t.score_high is None else t.score_high) for t in thresholds]
    assert np.mean(enclosed) >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / rounds)  # at least: ranks are whole numbers


def test_ties_only_ever_lower_the_rate() -> None:
    rng = np.random.default_rng(4)
    rates = []
    for _ in range(500):
        threshold = threshold_of(rng.integers(1, 5, 40).astype(float), 0.1)
        rates.append(float((rng.integers(1, 5, 400) > threshold.score).mean()))

    assert np.mean(rates) <= 0.1


def test_the_interval_of_the_score_narrows_with_more_pictures() -> None:
    few = threshold_of(np.linspace(1, 2, 100), 0.1)
    many = threshold_of(np.linspace(1, 2, 10_000), 0.1)

    assert few.score_high is not None
    assert many.score_high is not None
    assert few.score_low < many.score_low < many.score < many.score_high < few.score_high


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [np.inf, 1.0], [-1.0, 1.0], [[1.0], [2.0]]])
def test_scores_that_are_no_scores_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="a score is negative, NaN or infinite"):
        threshold_from_good(np.array(bad), np.ones(2), 0.1, "held-out")


def test_maxima_are_checked_like_scores() -> None:
    with pytest.raises(ValueError, match="a map maximum is negative, NaN or infinite"):
        threshold_from_good(np.ones(2), np.array([np.nan, 1.0]), 0.1, "held-out")


def test_no_pictures_or_unequal_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="got 0 and 0"):
        threshold_of(np.array([]), 0.1)
    with pytest.raises(ValueError, match="got 2 and 1"):
        threshold_from_good(np.ones(2), np.ones(1), 0.1, "held-out")


@pytest.mark.parametrize("rate", [1.0, -0.1, math.nan])
def test_a_rate_that_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and less than 1"):
        threshold_of(np.ones(3), rate)


def test_scores_of_zero_point_at_duplicate_pictures() -> None:
    with pytest.raises(EdgeError, match="remove duplicate pictures"):
        threshold_of(np.zeros(10), 0.1)


def test_another_precisions_threshold_keeps_the_verdicts_of_fp32_whatever_moved_single_scores():
    random = np.random.default_rng(0)
    before = np.sort(random.uniform(0.5, 2, 200))
    after = 3 * before * random.normal(1, 0.01, 200)
    after[before.argmax()] *= 1.5  # the one picture that a threshold of its own would follow
    fp32 = threshold_from_good(before, 2 * before, 0.01, "cross-fitted")
    other = threshold_like(fp32, (before, after), (2 * before, 10 * before))
    assert other.score == pytest.approx(3 * fp32.score, rel=0.01)
    assert other.map == pytest.approx(5 * fp32.map)
    assert (other.false_reject_rate_high, other.method) == (fp32.false_reject_rate_high, "cross-fitted")


def test_the_scale_is_that_near_the_threshold():
    before = np.linspace(0.1, 4, 400)
    after = np.where(before > 2, 5 * before, 2 * before)
    assert scale_near(before, after, 1.0) == pytest.approx(2)
    assert scale_near(before, after, 3.0) == pytest.approx(5)
    assert scale_near(np.zeros(3), np.ones(3), 1.0) == 1.0
