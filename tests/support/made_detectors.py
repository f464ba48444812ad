"""The detectors on a made-up network: everything that a graph can hold, within a second."""

from __future__ import annotations

import torch

from edge_build.detectors.combined.model import Combined, PooledFeatures
from edge_build.detectors.combined.scoring import fit_area_score
from edge_build.detectors.cpr.feature_maps import described
from edge_build.detectors.cpr.foreground import Foreground
from edge_build.detectors.cpr.local_branch import LocalBranch
from edge_build.detectors.cpr.matching import Direction, Match, bank_of
from edge_build.detectors.cpr.model import Cpr
from edge_build.detectors.cpr.retrieval import GlobalBranch
from edge_build.detectors.patchcore.learner import fit_projection
from edge_build.detectors.patchcore.model import PatchCore, PatchFeatures
from tests.support.made_network import made_backbone, made_pictures

HEIGHT, WIDTH = 64, 96


def made_patchcore(
    dimensions: int | None = None, neighbors: int = 9, size: tuple[int, int] = (HEIGHT, WIDTH), every: int = 5
) -> PatchCore:
    features = PatchFeatures(made_backbone())
    with torch.inference_mode():
        patches = features(made_pictures(3, HEIGHT, WIDTH)).permute(0, 2, 3, 1).flatten(0, 2)
    projection = fit_projection(patches, None, dimensions)
    bank = projection(patches)[::every].contiguous()
    scales = torch.linspace(0.7, 1.3, len(bank))
    return PatchCore(features, projection, bank, scales, size, neighbors, neighbors == 1)


def trained_branch(channels: int = 24, width: int = 24, dimensions: int = 16, seed: int = 0) -> LocalBranch:
    """With batch norms that have seen something."""
    torch.manual_seed(seed)
    branch = LocalBranch(channels, width, dimensions)
    for _ in range(20):
        branch(3 + 2 * torch.randn(4, channels, 9, 9))
    return branch.eval()


def made_cpr(
    size: tuple[int, int],
    count: int = 14,
    foreground: bool = True,
    dimensions: int = 16,
    taps: tuple[int, ...] = (2, 3, 4),
) -> Cpr:
    backbone = made_backbone(taps)
    with torch.inference_mode():
        fine, coarse, *coarser = backbone(made_pictures(count, *size))
        codebook = fine.permute(0, 2, 3, 1).flatten(0, 2)[:: fine[:, 0].numel() // 11][:12].clone()
        local = (trained_branch(24, 24, dimensions).folded(), trained_branch(40, 24, dimensions, seed=1).folded())
        part = Foreground(torch.linspace(-0.1, 0.1, 24), torch.tensor([0.5]))
        shares = (part, part(fine).half()) if foreground else None
        others = torch.tensor([[(row + 1) % count, (row + 2) % count] for row in range(count)])
        matches = [
            Match(branch, bank_of(described(branch, m, range(count)), others, reach), reach)
            for branch, m, reach in zip(local, (fine, coarse), (1, 0), strict=True)
        ]
        matches += [Match(Direction(), bank_of(Direction()(m), others, 0, mean=1.0), 0) for m in coarser]
        return Cpr(backbone, GlobalBranch(codebook, [fine]), matches, shares, size, ())


def made_combined(size: tuple[int, int] = (HEIGHT, WIDTH), weights: tuple[float, float] = (0.7, 0.1)) -> Combined:
    features = PooledFeatures(made_backbone())
    pictures = made_pictures(6, *size)
    with torch.inference_mode():
        patches = features(pictures).permute(0, 2, 3, 1).flatten(0, 2)
        projection = fit_projection(patches, features.fine_channels, None)
        bank = projection(patches)[::3].contiguous()
        memory = PatchCore(features, projection, bank, torch.linspace(0.7, 1.3, len(bank)), size, 1, True)
        cascade = made_cpr(size)
        unknown = made_pictures(3, *size, seed=4)
        maps = torch.stack([cascade(p[None])[1][0] * weights[0] + memory(p[None])[1][0] * weights[1] for p in unknown])
        return Combined(made_backbone((2, 3, 4, 5)), cascade, memory, weights, fit_area_score(maps))
