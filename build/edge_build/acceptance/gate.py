"""The gate that a precision must pass to get into a bundle: it keeps the verdicts of FP32.

Both are measured on held-out good pictures and on defects made up on them, each at the threshold of its own graph.

    gate = measure_gate(held_out[FP32], thresholds[FP32], held_out[INT8], thresholds[INT8])
    for failure in failures(gate): ...
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_build.acceptance.held_out import HeldOut
from edge_build.detection_metrics import Metrics, measure
from edge_runtime.bundle.manifest import Gate, Threshold

MOST_IMAGE_AUROC = 0.003
MOST_PIXEL_AP = 0.015
VERDICTS_BELOW = 0.005  # share of the pictures


def measure_gate(reference: HeldOut, reference_threshold: Threshold, tested: HeldOut, threshold: Threshold) -> Gate:
    """Compare a precision with FP32 on the same pictures."""
    before, after = _metrics(reference), _metrics(tested)
    return Gate(
        pictures=len(tested.trial_scores),
        image_auroc_change=_change(before.image_auroc, after.image_auroc),
        pixel_ap_change=_change(before.pixel_ap, after.pixel_ap),
        verdicts_changed=verdicts_changed(reference.trial_scores, reference_threshold, tested.trial_scores, threshold),
    )


def verdicts_changed(
    reference: NDArray[np.floating], reference_threshold: Threshold, tested: NDArray[np.floating], threshold: Threshold
) -> int:
    """How many verdicts differ. reference, tested: (pictures,), raw scores of the same pictures."""
    return int(((reference > reference_threshold.score) != (tested > threshold.score)).sum())


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
    if gate.verdicts_changed >= VERDICTS_BELOW * gate.pictures:
        found.append(
            f"{gate.verdicts_changed} of {gate.pictures} verdicts change "
            f"({gate.verdicts_changed / gate.pictures:.2%}), fewer than {VERDICTS_BELOW:.1%} allowed"
        )
    return tuple(found)


def _metrics(held_out: HeldOut) -> Metrics:
    masks: list[NDArray[np.bool_] | None] = list(held_out.masks)
    return measure(held_out.trial_scores, held_out.defect, held_out.trial_maps, masks)


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
