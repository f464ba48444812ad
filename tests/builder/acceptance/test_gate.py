from __future__ import annotations

import numpy as np
import pytest

from edge_build.acceptance.gate import failures, measure_gate
from edge_build.acceptance.held_out import HeldOut
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
    thresholds = [threshold_from_good(h.scores, h.maxima, 0.01, "held-out") for h in (before, after)]
    return measure_gate(before, thresholds[0], after, thresholds[1])


def test_another_scale_of_scores_is_no_change_because_each_has_its_own_threshold(scores):
    gate = compared(held_out(scores), held_out(scores, gain=1.5))
    assert gate == Gate(pictures=400, image_auroc_change=0, pixel_ap_change=0, verdicts_changed=0)
    assert failures(gate) == ()


def test_changed_verdicts_are_counted_and_reported(scores):
    moved = scores.copy()
    just_above = GOOD + np.argsort(scores[GOOD:])[10:14]
    moved[just_above] = 1.0  # found before, missed now
    gate = compared(held_out(scores), held_out(moved))

    assert gate.verdicts_changed == sum(scores[just_above] > np.sort(scores[:GOOD])[-2])
    assert gate.verdicts_changed >= 2
    assert f"{gate.verdicts_changed} of 400 verdicts change" in "; ".join(failures(gate))
    assert "fewer than 0.5% allowed" in "; ".join(failures(gate))


def test_noise_in_the_maps_fails_on_pixel_ap(scores):
    (output,) = failures(compared(held_out(scores), held_out(scores, noise=3)))
    assert output.startswith("pixel AP changes by -")
    assert output.endswith("points, 1.5 allowed")


@pytest.mark.parametrize(
    ("auroc", "ap", "changed", "count"),
    [(0.003, -0.015, 1, 0), (-0.0031, 0, 0, 1), (0.0031, 0, 0, 1), (0, 0.0151, 0, 1), (0, 0, 2, 1), (1, 1, 400, 3)],
)
def test_the_limits_are_those_of_the_contract(auroc, ap, changed, count):
    """0.3 points, 1.5 points, fewer than 0.5 % of 400 verdicts: 2 are too many."""
    gate = Gate(pictures=400, image_auroc_change=auroc, pixel_ap_change=ap, verdicts_changed=changed)
    assert len(failures(gate)) == count


def test_with_few_pictures_no_verdict_may_change():
    gate = Gate(pictures=100, image_auroc_change=0, pixel_ap_change=0, verdicts_changed=1)
    assert failures(gate) == ("1 of 100 verdicts change (1.00%), fewer than 0.5% allowed",)


def test_what_cannot_be_compared_does_not_pass():
    assert failures(Gate(pictures=0, image_auroc_change=None, pixel_ap_change=None, verdicts_changed=0))
    assert failures(Gate(pictures=9, image_auroc_change=None, pixel_ap_change=None, verdicts_changed=0))


def test_a_failure_says_which_figure_by_how_much_and_what_to_try():
    gate = Gate(pictures=400, image_auroc_change=-0.01, pixel_ap_change=0.0, verdicts_changed=0)
    output = gate_text(Precision.INT8, GateResult(gate=gate, failures=failures(gate)))
    assert output.startswith(
        "INT8 is not in the bundle: image AUROC changes by -1.00 points, 0.3 allowed. Try: more good"
    )
    assert "a new build with a lower calibration.budget" in output  # a calibration cannot change it
