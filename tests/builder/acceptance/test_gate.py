from __future__ import annotations

import numpy as np
import pytest

from edge_build.acceptance.gate import estimated_changes, failures, measure_gate
from edge_build.acceptance.held_out import HeldOut
from edge_build.acceptance.judgement import thresholds_of
from edge_build.graphs.precisions import GateResult, gate_text
from edge_calibration.threshold import threshold_from_good
from edge_runtime.bundle.manifest import Gate
from edge_runtime.records import Precision

GOOD, DEFECT = 200, 200


def held_out(scores, gain=1.0, noise=0.0):
    """Maps of 4 x 4: a defect shows in the middle, with the picture's score. Noise is added to the good pixels."""
    random = np.random.default_rng(1)
    masks = np.zeros((GOOD + DEFECT, 4, 4), np.bool_)
    masks[GOOD:, 1:3, 1:3] = True
    maps = random.uniform(0, 1, masks.shape) + noise * random.uniform(0, 1, masks.shape)
    maps = np.where(masks, np.asarray(scores)[:, None, None], maps)
    good = np.asarray(scores[:GOOD])
    return HeldOut(gain * good, gain * good, gain * np.asarray(scores), (gain * maps).astype(np.float32), masks)


@pytest.fixture
def scores():
    random = np.random.default_rng(0)
    return np.concatenate([random.uniform(1, 2, GOOD), random.uniform(1.9, 4, DEFECT)])


def compared(before, after):
    thresholds = thresholds_of({Precision.FP32: before, Precision.INT8: after}, 0.01, "held-out")
    return measure_gate(before, thresholds[Precision.FP32], after, thresholds[Precision.INT8])


def test_another_scale_of_scores_is_no_change_because_each_has_its_own_threshold(scores):
    gate = compared(held_out(scores), held_out(scores, gain=1.5))
    assert (gate.image_auroc_change, gate.pixel_ap_change, gate.verdicts_changed) == (0, 0, 0)
    assert gate.changed_share == pytest.approx(0, abs=0.003)  # a tie at the threshold may fall either way in float
    assert failures(gate) == ()


def test_changed_verdicts_are_counted_and_reported(scores):
    moved = scores.copy()
    plain = GOOD + np.argsort(scores[GOOD:])[60:74]
    moved[plain] = 1.0  # found before, missed now
    gate = compared(held_out(scores), held_out(moved))
    assert gate.verdicts_changed == 14
    assert "14 of 400 verdicts change (3.5%), which is no chance if at most 1% do" in "; ".join(failures(gate))


def test_the_share_of_changed_verdicts_is_estimated_from_all_scores_and_all_deviations():
    """Uniform scores from 0.5 to 1.5 of the threshold, half of them moved by 2 % up and half down: of the 2 % of the
    pictures below it half change, and of those above it likewise."""
    before = np.linspace(0.5, 1.5, 2001)
    after = before * np.where(np.arange(len(before)) % 2, 1.02, 0.98)
    share, near = estimated_changes(before, one(), after, one())
    assert share == pytest.approx(0.02, rel=0.05)
    assert near == pytest.approx(0.04 * len(before), rel=0.05)
    assert estimated_changes(before, one(), before, one()) == (0.0, 0)
    assert estimated_changes(before / 9, one(), before, one()) == (0.0, 0)  # nothing is near enough to tell


def test_the_picture_that_became_the_threshold_says_nothing_of_a_precision():
    before = np.array([0.4, 0.5, 0.6, 1.0, 3.0])
    after = before * np.array([1, 1.001, 0.999, 1.001, 1])
    assert estimated_changes(before, one(), after, one()) == (0.0, 0)


def test_many_near_ties_fail_although_no_verdict_happened_to_change():
    gate = Gate(
        pictures=40, image_auroc_change=0, pixel_ap_change=0, verdicts_changed=0, near_ties=9, changed_share=0.03
    )
    assert failures(gate) == ("an estimated 3.0% of verdicts change, at most 1% allowed",)


def test_what_so_few_pictures_can_show_is_said():
    gate = Gate(
        pictures=132, image_auroc_change=0, pixel_ap_change=0, verdicts_changed=1, near_ties=4, changed_share=0.004
    )
    text = gate_text(Precision.INT8, GateResult(gate=gate, failures=failures(gate)))
    assert (
        "verdicts changed: 1 (so few pictures rule out more than 3.5%; 4 are near ties, and by all deviations" in text
    )
    assert "an estimated 0.4% of verdicts change)" in text


def one():
    return threshold_from_good(np.ones(9), np.ones(9), 0.1, "held-out")


def test_noise_in_the_maps_fails_on_pixel_ap(scores):
    (output,) = failures(compared(held_out(scores), held_out(scores, noise=3)))
    assert output.startswith("pixel AP changes by -")
    assert output.endswith("points, 1.5 allowed")


@pytest.mark.parametrize(
    ("auroc", "ap", "changed", "count"),
    [
        (0.003, -0.015, 1, 0),
        (-0.0031, 0, 0, 1),
        (0.0031, 0, 0, 1),
        (0, 0.0151, 0, 1),
        (0, 0, 8, 0),
        (0, 0, 9, 1),
        (1, 1, 400, 3),
    ],
)
def test_the_limits_are_those_of_the_contract(auroc, ap, changed, count):
    """0.3 points, 1.5 points, and of 400 verdicts no more than may be chance when 1 % of all change: 9 are too many."""
    gate = Gate(pictures=400, image_auroc_change=auroc, pixel_ap_change=ap, verdicts_changed=changed)
    assert len(failures(gate)) == count


def test_with_few_pictures_a_change_or_two_prove_nothing():
    for pictures, changed, count in ((100, 3, 0), (100, 4, 1), (10, 1, 0), (10, 2, 1)):
        gate = Gate(pictures=pictures, image_auroc_change=0, pixel_ap_change=0, verdicts_changed=changed)
        assert len(failures(gate)) == count, (pictures, changed)


def test_what_cannot_be_compared_does_not_pass():
    assert failures(Gate(pictures=0, image_auroc_change=None, pixel_ap_change=None, verdicts_changed=0))
    assert failures(Gate(pictures=9, image_auroc_change=None, pixel_ap_change=None, verdicts_changed=0))


def test_a_failure_says_which_figure_by_how_much_and_what_to_try():
    gate = Gate(pictures=400, image_auroc_change=-0.01, pixel_ap_change=0.0, verdicts_changed=0)
    output = gate_text(Precision.INT8, GateResult(gate=gate, failures=failures(gate)))
    assert output.startswith(
        "INT8 is not in the bundle: image AUROC changes by -1.00 points, 0.3 allowed. Try: fp16; with hardly"
    )
