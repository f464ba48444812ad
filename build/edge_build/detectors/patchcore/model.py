"""PatchCore as one module: a prepared picture in, score and anomaly map out, the memory bank as a buffer.

Source: Roth et al. 2022, "Towards Total Recall in Industrial Anomaly Detection" (section 3.1 features, 3.2 bank,
3.3 score). Beyond the paper, a distance may be scaled by how far good patches are from the same bank entry
(docs/decisions/0004). What is computed once at build time is folded into constants: the bank's norms and scales, which
make all distances one matrix product; the bank neighbours of each entry; upsampling and blur of the map, which are
linear and become one matrix for each axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_build.detectors.backbones.backbone import Backbone
from edge_build.detectors.protocol import Detector
from edge_build.detectors.upsampling import smooth_upsampling

ENTRIES_AT_ONCE = 512  # a block of distances that stays in a core's cache between the product and its minimum


@dataclass(frozen=True)
class Projection:
    """How features are centred, scaled and, if asked for, reduced: y = (x - mean) * gain @ axes."""

    mean: Tensor  # (d,)
    gain: Tensor  # (d,)
    axes: Tensor | None  # (d, reduced), orthonormal columns; None keeps all dimensions

    def __call__(self, features: Tensor) -> Tensor:
        """(n, d) -> (n, reduced)."""
        scaled = (features - self.mean) * self.gain
        return scaled if self.axes is None else scaled @ self.axes


class PatchFeatures(nn.Module):
    """The locally aware patch features of two stages (section 3.1)."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        with torch.inference_mode():
            self.fine_channels = backbone(torch.zeros(1, 32, 32, 3, dtype=torch.uint8))[0].shape[1]

    def forward(self, images: Tensor) -> Tensor:
        """Uint8 BGR (n, H, W, 3) -> (n, d, h, w)."""
        fine, coarse = self.backbone(images)
        return self.joined(fine, coarse)

    def joined(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Two stages' maps as one, at the finer stage's resolution.

        Each map is averaged over 3x3 cells; the coarser one is resized bilinearly. Cells outside the picture count as
        zero: the backbone sees zeros there, too, and cells at the edge would otherwise be the farthest of all and fill
        the bank.
        """
        fine, coarse = (F.avg_pool2d(m, 3, 1, 1) for m in (fine, coarse))
        if coarse.shape != fine.shape:
            coarse = F.interpolate(coarse, fine.shape[2:], mode="bilinear", align_corners=False)
        return torch.cat([fine, coarse], 1)


class PatchCore(Detector):
    """The whole detector of one picture.

    features: the frozen extractor. projection: how features are prepared. bank: (m, d) projected features. scales: (m,)
    what a distance to each entry is multiplied by; ones are the paper's plain distances. size: (H, W) of the prepared
    picture. neighbors: b of the re-weighting; 1 leaves the score as it is. score_from_map: the score is the largest
    value of the smoothed map, not of the patches.
    """

    adjacent: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(
        self,
        features: PatchFeatures,
        projection: Projection,
        bank: Tensor,
        scales: Tensor,
        size: tuple[int, int],
        neighbors: int,
        score_from_map: bool,
    ) -> None:
        super().__init__()
        self.features, self.projection = features, projection
        self.entries, self.dimensions = bank.shape
        self.neighbors, self.score_from_map = min(neighbors, len(bank)), score_from_map
        with torch.inference_mode():
            grid = features(torch.zeros(1, *size, 3, dtype=torch.uint8)).shape[2:]
        self.grid = (int(grid[0]), int(grid[1]))
        self.parts = nn.ParameterList(
            nn.Parameter(part.T.contiguous(), False) for part in torch.split(_product(bank, scales), ENTRIES_AT_ONCE)
        )
        self.register_buffer("adjacent", bank_neighbors(bank, self.neighbors))
        self.register_buffer("rows", smooth_upsampling(grid[0], size[0]))
        self.register_buffer("columns", smooth_upsampling(grid[1], size[1]))
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 BGR (1, H, W, 3) -> score (1,), anomaly map (1, H, W), both in units of feature distance."""
        augmented = self._augmented(self.features(image))
        distances = self._distances(augmented)
        anomaly_map = self._smooth(distances)
        largest = anomaly_map.amax().view(1) if self.score_from_map else distances.amax().view(1)
        score = largest if self.neighbors == 1 else largest * self._rarity(augmented, distances)
        return score, anomaly_map[None]

    def map_of(self, features: Tensor) -> Tensor:
        """The map (H, W) of features (1, d, h, w)."""
        return self._smooth(self._distances(self._augmented(features)))

    def _augmented(self, features: Tensor) -> Tensor:
        """Features (1, d, h, w) -> rows of [p, |p|^2, 1], one for each cell."""
        patches = self.projection(features[0].flatten(1).T)
        return torch.cat([patches, patches.square().sum(1, keepdim=True), torch.ones_like(patches[:, :1])], 1)

    def _distances(self, augmented: Tensor) -> Tensor:
        """Of every cell to the nearest of the bank, (cells,)."""
        nearest = torch.stack([(augmented @ part).amin(1) for part in self.parts]).amin(0)
        return self.cells_judged(torch.sqrt(torch.clamp(nearest, min=0)).view(self.grid)).flatten()

    def _smooth(self, distances: Tensor) -> Tensor:
        return self.map_judged(self.rows @ distances.view(self.grid) @ self.columns.T)

    def _rarity(self, augmented: Tensor, distances: Tensor) -> Tensor:
        """The weight of equation 7 (section 3.3) for the farthest patch, (1,): less where the bank is dense."""
        farthest = augmented[distances[None].argmax(1)]  # TensorRT finds no maximum in one dimension
        to_bank = torch.cat([farthest @ part for part in self.parts], 1)
        around = self.adjacent[to_bank.argmin(1)][0]  # the neighbours of m* in the bank, itself first
        spread = torch.sqrt(torch.clamp(to_bank[0, around], min=0))
        return 1 - torch.softmax(spread[None], 1)[0, :1]


def _product(bank: Tensor, scales: Tensor) -> Tensor:
    """What makes scaled squared distances one product: (m, d + 2), against rows of [p, |p|^2, 1]."""
    ones, lengths = torch.ones(len(bank), 1), bank.square().sum(1, keepdim=True)
    return torch.cat([-2 * bank, ones, lengths], 1) * scales.square()[:, None]


def bank_neighbors(bank: Tensor, count: int) -> Tensor:
    """For each bank entry (m, d) the indices (m, count) int64 of its nearest entries, itself first."""
    parts = []
    for start in range(0, len(bank), 1024):
        distances = torch.cdist(bank[start : start + 1024], bank)
        distances.diagonal(start).fill_(-1)  # rounding could put a near copy before the entry itself
        parts.append(distances.topk(count, largest=False).indices)
    return torch.cat(parts)
