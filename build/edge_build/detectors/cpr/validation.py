"""Judging the training of CPR's local branch: average precision on made-up defects of good pictures kept for it.

No test picture takes part, and none that the threshold is set on.
"""

from __future__ import annotations

import numpy as np
import torch

from edge_build.detection_metrics import measure
from edge_build.detectors.cpr.feature_maps import Maps, describe, described
from edge_build.detectors.cpr.foreground import AnyForeground
from edge_build.detectors.cpr.local_branch import LocalBranch
from edge_build.detectors.cpr.matching import FINE_REACH, distances, plain
from edge_build.detectors.cpr.model import combined
from edge_build.detectors.cpr.training_pictures import Pool
from edge_build.detectors.upsampling import smooth_upsampling

SHARE, MOST, COPIES = 0.1, 24, 2


def pick_validation_rows(count: int) -> list[int]:
    """Which of so many pictures only judge the training: spread over all, at least one."""
    wanted = max(1, min(MOST, round(SHARE * count)))
    return [(2 * number + 1) * count // (2 * wanted) for number in range(wanted)]


def validation_precision(
    local: tuple[LocalBranch, LocalBranch],
    references: Maps,
    validation: Pool,
    foreground: AnyForeground | None,
) -> float:
    """The pixel average precision on the validation pictures; 0 when no defect came about there."""
    size = validation.masks.shape[1:]
    used, places = torch.unique(validation.nearest, return_inverse=True)
    maps_of = (references.fine, references.coarse)
    banks = [plain(described(branch, m, used.tolist())) for branch, m in zip(local, maps_of, strict=True)]
    rows = smooth_upsampling(validation.maps.fine.shape[2], size[0])
    columns = smooth_upsampling(validation.maps.fine.shape[3], size[1]).T
    maps = np.empty(validation.masks.shape, np.float32)
    with torch.inference_mode():
        for number, nearest in enumerate(places):
            fine, coarse = validation.maps.fine[number][None].float(), validation.maps.coarse[number][None].float()
            cells = combined(
                [
                    distances(describe(local[0], fine)[0], banks[0][nearest].float(), FINE_REACH),
                    distances(describe(local[1], coarse)[0], banks[1][nearest].float(), 0),
                ]
            )
            if foreground is not None:
                theirs = foreground(references.fine[validation.nearest[number]].float())
                cells = cells * torch.maximum(foreground(fine)[0], theirs.amax(0))
            maps[number] = (rows @ cells @ columns).numpy()
    defect = np.array([mask.any() for mask in validation.masks])
    return measure(maps.max((1, 2)), defect, maps, list(validation.masks)).pixel_ap or 0.0
