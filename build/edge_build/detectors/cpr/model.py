"""CPR as one module: a prepared picture in, score and anomaly map out, references as buffers.

Source: Li et al. 2024, "Target before Shooting: Accurate Anomaly Detection and Localization under One Millisecond via
Cascade Patch Retrieval". A picture is compared with few good ones: block histograms of coarse codes find the ten
references that are most alike (global branch, retrieval.py), then each cell is compared with the same place in these,
within reach (local branch, local_branch.py; matching.py). What the background shows counts for nothing (foreground
branch, foreground.py).

The published implementation looks references up by file name; here retrieval is a part of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_build.detectors.backbones.backbone import Backbone
from edge_build.detectors.cpr.foreground import Foreground, PlacedForeground
from edge_build.detectors.cpr.matching import Match
from edge_build.detectors.cpr.retrieval import GlobalBranch
from edge_build.detectors.protocol import Detector, Example
from edge_build.detectors.upsampling import smooth_upsampling

STRIDES = (4, 8)  # of the maps that the local branch describes, fine and coarse
DIMENSIONS = {"cpr-faster": 16, "cpr-fast": 64, "cpr": 384}  # of a cell's descriptor
SCORED_PIXELS = 64  # 512 in the paper: smaller defects than in its pictures (docs/decisions/0006)


class Cpr(Detector):
    """The whole detector of one picture.

    matches: one for each tap of the backbone, the finest first. foreground: where the part is, and of each reference
    (n, h, w) float16, None where it is the same in all; None for a texture. size: (H, W) of the prepared picture.
    """

    foreground_bank: Tensor | None
    rows: Tensor
    columns: Tensor

    def __init__(
        self,
        backbone: Backbone,
        retrieval: GlobalBranch,
        matches: Sequence[Match],
        foreground: tuple[Foreground | PlacedForeground, Tensor | None] | None,
        size: tuple[int, int],
        notes: tuple[str, ...],
        examples: tuple[Example, ...] = (),
    ) -> None:
        super().__init__()
        self.backbone, self.retrieval = backbone, retrieval
        self.notes, self.examples = notes, examples
        self.matches = nn.ModuleList(matches)
        self.foreground = None if foreground is None else foreground[0]
        self.register_buffer("foreground_bank", None if foreground is None else foreground[1])
        self.grid = (int(matches[0].bank.shape[2]), int(matches[0].bank.shape[3]))
        self.entries, self.dimensions = matches[0].bank.shape[0], matches[0].bank.shape[1] - 1
        self.register_buffer("rows", smooth_upsampling(matches[0].bank.shape[2], size[0]))
        self.register_buffer("columns", smooth_upsampling(matches[0].bank.shape[3], size[1]).T.contiguous())
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 BGR (1, H, W, 3) -> score (1,), anomaly map (1, H, W), both in sums of scaled cosine distances."""
        maps = self.backbone(image)
        anomaly_map = self.map_of(maps, self.retrieval(maps[0]))
        return score_of(anomaly_map), anomaly_map[None]

    def map_of(self, maps: Sequence[Tensor], nearest: Tensor) -> Tensor:
        """The map (H, W) of what the backbone sees, one (1, C, h, w) for each tap, beside references (rows (k,))."""
        cells = combined([match(m, nearest) for match, m in zip(self.matches, maps, strict=True)])
        if self.foreground is not None:
            share = self.foreground(maps[0])[0]
            if self.foreground_bank is not None:
                share = torch.maximum(share, self.foreground_bank[nearest].float().amax(0))
            cells = cells * share
        return self.map_judged(self.rows @ self.cells_judged(cells) @ self.columns)


def combined(distances: Sequence[Tensor]) -> Tensor:
    """All taps' distances (h, w), the finest first, at its resolution.

    Those of the two that are trained are summed. Surroundings that differ, too, make more of that: it is multiplied by
    the square root of each coarser tap's distance (docs/decisions/0006).
    """
    fine, *coarser = distances
    resized = [
        F.interpolate(cells[None, None], fine.shape, mode="bilinear", align_corners=False)[0, 0] for cells in coarser
    ]
    total = fine + resized[0]
    for around in resized[len(STRIDES) - 1 :]:
        total = total * torch.sqrt(torch.clamp(around, min=0))
    return total


def score_of(anomaly_map: Tensor) -> Tensor:
    """The mean of the largest pixels of a map (H, W), (1,)."""
    pixels = anomaly_map.flatten()
    return pixels.topk(min(SCORED_PIXELS, len(pixels))).values.mean(0, keepdim=True)
