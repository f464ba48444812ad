"""The gate that a precision must pass to get into a bundle: it keeps the verdicts of FP32.

Both are measured on held-out good pictures and on defects made up on them, each at the threshold of its own graph. A
few hundred pictures hold few that are near the threshold, and whether just these change is chance: one more or less. So
the share of changed verdicts is estimated from all of them: every score is moved by every deviation that was seen. What
was counted must not contradict the limit either, as far as so few pictures can (docs/decisions/0042).

    gate = measure_gate(held_out[FP32], thresholds[FP32], held_out[INT8], thresholds[INT8])
    for failure in failures(gate): ...
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from edge_build.acceptance.held_out import HeldOut
from edge_build.detection_metrics import Metrics, measure
from edge_runtime.bundle.manifest import Gate, Threshold

MOST_IMAGE_AUROC = 0.003
MOST_PIXEL_AP = 0.015
MOST_CHANGED = 0.01  # of the verdicts
CONFIDENCE = 0.95
LEAST_SCORE = 0.3  # of the threshold: below it a relative deviation says nothing about one near it


def measure_gate(reference: HeldOut, reference_threshold: Threshold, tested: HeldOut, threshold: Threshold) -> Gate:
    """Compare a precision with FP32 on the same pictures."""
    before, after = _metrics(reference), _metrics(tested)
    pairs = (reference.trial_scores, reference_threshold, tested.trial_scores, threshold)
    share, near = estimated_changes(*pairs)
    return Gate(
        pictures=len(tested.trial_scores),
        image_auroc_change=_change(before.image_auroc, after.image_auroc),
        pixel_ap_change=_change(before.pixel_ap, after.pixel_ap),
        verdicts_changed=verdicts_changed(*pairs),
        near_ties=near,
        changed_share=share,
    )


def verdicts_changed(
    reference: NDArray[np.floating], reference_threshold: Threshold, tested: NDArray[np.floating], threshold: Threshold
) -> int:
    """How many verdicts differ. reference, tested: (pictures,), raw scores of the same pictures."""
    return int(((reference > reference_threshold.score) != (tested > threshold.score)).sum())


def estimated_changes(
    reference: NDArray[np.floating], reference_threshold: Threshold, tested: NDArray[np.floating], threshold: Threshold
) -> tuple[float, int]:
    """The share of verdicts that change, and how many pictures are near ties. reference, tested: as above.

    A picture is a near tie when one in twenty of the deviations would change its verdict. The one whose score became
    the threshold is left out: it is a tie however good the precision is, and of few pictures it would be a large share.
    """
    before, after = reference / reference_threshold.score, tested / threshold.score
    telling = before >= LEAST_SCORE
    if not telling.any():
        return 0.0, 0
    deviations = after[telling] / before[telling]
    others = before[reference != reference_threshold.score]
    if not others.size:
        return 0.0, 0
    changes = ((others[:, None] > 1) != (others[:, None] * deviations > 1)).mean(1)  # (pictures,)
    return float(changes.mean()), int((changes >= 1 - CONFIDENCE).sum())


def failures(gate: Gate) -> tuple[str, ...]:
    """Which figures a precision fails on, and by how much; none when it passes. What cannot be measured fails."""
    found = []
    if not gate.pictures:
        return ("there are no held-out pictures to compare on",)
    if gate.image_auroc_change is None or gate.pixel_ap_change is None:
        return ("no defect came about on the held-out pictures, so that nothing can be compared",)
    if abs(gate.image_auroc_change) > MOST_IMAGE_AUROC:
        found.append(
            f"image AUROC changes by {100 * gate.image_auroc_change:+.2f} points, {100 * MOST_IMAGE_AUROC:.1f} allowed"
        )
    if abs(gate.pixel_ap_change) > MOST_PIXEL_AP:
        found.append(f"pixel AP changes by {100 * gate.pixel_ap_change:+.2f} points, {100 * MOST_PIXEL_AP:.1f} allowed")
    if gate.changed_share is not None and gate.changed_share > MOST_CHANGED:
        found.append(f"an estimated {gate.changed_share:.1%} of verdicts change, at most {MOST_CHANGED:.0%} allowed")
    # so many or more, if it were just the limit
    by_chance = bdtrc(gate.verdicts_changed - 1, gate.pictures, MOST_CHANGED) if gate.verdicts_changed else 1.0
    if by_chance < 1 - CONFIDENCE:
        found.append(
            f"{gate.verdicts_changed} of {gate.pictures} verdicts change "
            f"({gate.verdicts_changed / gate.pictures:.1%}), "
            f"which is no chance if at most {MOST_CHANGED:.0%} do"
        )
    return tuple(found)


def _metrics(held_out: HeldOut) -> Metrics:
    masks: list[NDArray[np.bool_] | None] = list(held_out.masks)
    return measure(held_out.trial_scores, held_out.defect, held_out.trial_maps, masks)


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
