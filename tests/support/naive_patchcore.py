"""PatchCore by the paper's formulas, written down naively in float64, on the network of `made_network`."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional as F

from tests.support.made_network import made_backbone


def naive_features(images: Tensor, taps: tuple[int, int] = (3, 5)) -> Tensor:
    """(n, d, h, w): the mean over 3x3 cells with zeros around, the coarse map resized, both side by side."""
    pooled = []
    for m in made_backbone(taps)(images):
        n, channels, height, width = m.shape
        pooled.append(F.unfold(m, 3, padding=1).view(n, channels, 9, height, width).sum(2) / 9)
    fine, coarse = pooled
    return torch.cat([fine, F.interpolate(coarse, fine.shape[2:], mode="bilinear", align_corners=False)], 1)


def naive_scores(patches: Tensor, bank: Tensor, neighbors: int, scales: Tensor | None = None) -> tuple[float, Tensor]:
    """The picture's score (equations 6 and 7) and each patch's distance, from (patches, d), (m, d) and (m,)."""
    table = torch.cdist(patches.double(), bank.double(), compute_mode="donot_use_mm_for_euclid_dist")
    if scales is not None:
        table *= scales
    distances, matches = table.min(1)
    worst = int(distances.argmax())
    star = float(distances[worst])
    if neighbors == 1:
        return star, distances
    around = (bank - bank[matches[worst]]).double().norm(dim=1).argsort(stable=True)[:neighbors]
    weight = 1 - torch.exp(table[worst, matches[worst]]) / torch.exp(table[worst, around]).sum()
    return float(weight) * star, distances


def naive_map(distances: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    """Resized bilinearly, then blurred with sigma 4."""
    large = F.interpolate(distances.view(1, 1, *grid), size, mode="bilinear", align_corners=False)[0, 0]
    return np.asarray(gaussian_filter(large.numpy(), 4.0, mode="mirror", truncate=4.0))


def flat(features: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def measured(detector: nn.Module, image: Tensor) -> tuple[float, NDArray[np.float32]]:
    with torch.inference_mode():
        score, anomaly_map = detector(image)
    assert (score.shape, score.dtype, anomaly_map.dtype) == ((1,), torch.float32, torch.float32)
    return float(score), anomaly_map[0].numpy()
