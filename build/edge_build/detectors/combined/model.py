"""CPR's cascade and PatchCore's memory on one backbone pass, as one module.

They err in different places: the cascade compares a cell with the same place of the good pictures that are most alike,
and finds what is small; the memory compares it with every place of all of them, and does not mind how a part lies. Each
map is divided by how much its scores vary among good pictures that it does not know, so that the steadier one counts
for more, and both are summed (docs/decisions/0043). The score looks at the map at several sizes (scoring.py).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from edge_build.detectors.backbones.backbone import Backbone
from edge_build.detectors.combined.scoring import AreaScore
from edge_build.detectors.cpr.model import Cpr
from edge_build.detectors.patchcore.model import PatchCore, PatchFeatures
from edge_build.detectors.protocol import Detector


class PooledFeatures(PatchFeatures):
    """Patch features at the coarser stage's resolution: a quarter of the cells that `PatchFeatures` has."""

    def joined(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Maps (n, C, 2h, 2w) and (n, D, h, w) -> (n, C + D, h, w)."""
        pooled = F.avg_pool2d(fine, 4, 2, 1)  # 3x3 cells around each, then 2x2 of these
        return torch.cat([pooled, coarse], 1)


class Combined(Detector):
    """The whole detector of one picture.

    backbone: with the taps of the cascade first, and those of the memory among its taps. memory: its features are
    `PooledFeatures`. weights: what the maps of the cascade and of the memory are multiplied by. score: of their sum.
    """

    def __init__(
        self, backbone: Backbone, cascade: Cpr, memory: PatchCore, weights: tuple[float, float], score: AreaScore
    ) -> None:
        super().__init__()
        self.backbone, self.cascade, self.memory, self.weights, self.score = backbone, cascade, memory, weights, score
        self.cascade_taps, self.memory_taps = (
            [backbone.taps.index(tap) for tap in part.taps] for part in (cascade.backbone, memory.features.backbone)
        )
        self.entries, self.dimensions, self.grid = memory.entries, memory.dimensions, cascade.grid
        self.notes, self.examples = cascade.notes, cascade.examples
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 BGR (1, H, W, 3) -> score (1,), anomaly map (1, H, W); 1 is what good pictures usually reach."""
        maps = self.backbone(image)
        seen = [maps[place] for place in self.cascade_taps]
        fine, coarse = (maps[place] for place in self.memory_taps)
        of_cascade = self.cascade.map_of(seen, self.cascade.retrieval(seen[0]))
        of_memory = self.memory.map_of(self.memory.features.joined(fine, coarse))
        anomaly_map = of_cascade * self.weights[0] + of_memory * self.weights[1]
        return self.score(anomaly_map), anomaly_map[None]

    def ignore(self, ignored: NDArray[np.bool_]) -> None:
        """Judge nothing where `ignored`, (H, W), is true."""
        self.cascade.ignore(ignored)
        self.memory.ignore(ignored)
