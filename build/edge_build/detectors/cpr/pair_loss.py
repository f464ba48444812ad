"""The pairs of cells that CPR's local branch learns from, and their loss (Li et al. 2024, sections 3.3 and 3.4).

Positive pairs show the same place of two good pictures and must be alike. Remote pairs show different places (on parts;
on a texture all places look alike), anomalous ones a defect and the same place without it: neither may be alike. Pairs
are 3x3 cells, cut from maps that were computed once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from edge_build.detectors.cpr.feature_maps import device_of
from edge_build.detectors.cpr.local_branch import LocalBranch
from edge_build.detectors.cpr.training_pictures import Pool

POINTS = 100  # of each kind of pair in a picture
POSITIVE_MARGIN, NEGATIVE_MARGIN = 0.8, 0.2
REMOTE_PIXELS = 5.66  # theta
SMOOTHED = 5  # cells, of the foreground that places are drawn by


@dataclass(frozen=True)
class Scale:
    """Where pairs of one scale may be drawn: weights of cells, (n, h * w), zero along the border.

    radius: remote cells are farther than this, in cells.
    """

    positive: Tensor
    anomalous: Tensor
    width: int
    radius: float


def scale_of(pool: Pool, maps: Tensor) -> Scale:
    """Where pairs may be drawn on maps (n, C, h, w): positives where there is no defect, mostly on the part."""
    height, width = maps.shape[2:]
    stride = pool.masks.shape[1] // height
    share = torch.cat([F.avg_pool2d(torch.from_numpy(m)[None, None].float(), stride)[0] for m in pool.masks])
    inner = torch.zeros(height, width, device="cpu")
    inner[1:-1, 1:-1] = 1
    likely = torch.ones(1, height, width, device="cpu")
    if pool.foreground is not None:
        smooth = F.avg_pool2d(pool.foreground[:, None], SMOOTHED, 1, SMOOTHED // 2)
        likely = F.adaptive_avg_pool2d(smooth, (height, width))[:, 0]
    positive = ((share == 0) * likely + 1e-6) * inner  # some weight everywhere: there must be something to draw
    return Scale(positive.flatten(1), ((share >= 0.5) * inner).flatten(1), width, REMOTE_PIXELS / stride)


def scale_loss(
    branch: LocalBranch,
    scale: Scale,
    queries: Tensor,
    references: Tensor,
    rows: Tensor,
    compared: Tensor,
    with_remote: bool,
    generator: torch.Generator,
) -> Tensor:
    """The loss of one step at one scale.

    queries, references: maps (n, C, h, w). rows, compared: which picture (m,) is held against which reference (m,).
    """
    count = len(rows)
    places = torch.multinomial(scale.positive[rows], POINTS, True, generator=generator)
    defective = scale.anomalous[rows].any(1).nonzero()[:, 0]
    parts = [
        neighbourhoods(queries, rows, places, scale.width),
        neighbourhoods(references, compared, places, scale.width),
    ]
    if with_remote:
        y, x = places // scale.width, places % scale.width
        elsewhere = torch.multinomial((scale.positive[rows] > 0).float(), POINTS, True, generator=generator)
        away = torch.hypot((elsewhere // scale.width - y).float(), (elsewhere % scale.width - x).float()) > scale.radius
        parts.append(neighbourhoods(queries, rows, elsewhere, scale.width))
    if len(defective):
        bad = torch.multinomial(scale.anomalous[rows[defective]], POINTS, True, generator=generator)
        parts += [
            neighbourhoods(queries, rows[defective], bad, scale.width),
            neighbourhoods(references, compared[defective], bad, scale.width),
        ]
    device = device_of(branch)
    found = torch.split(branch.at_centres(torch.cat(parts).to(device)), [len(part) for part in parts])
    loss = F.relu(POSITIVE_MARGIN - (found[0] * found[1]).sum(1)).pow(3).mean()
    negatives, weights = [], []
    if with_remote:
        unlike = (parts[2][:, :, 1, 1] - parts[1][:, :, 1, 1]).square().sum(1).view(count, POINTS)
        weights.append(remote_weights(unlike * away).flatten())
        negatives.append((found[2] * found[1]).sum(1))
    if len(defective):
        negatives.append((found[-2] * found[-1]).sum(1))
        weights.append(torch.ones(len(found[-1]), device="cpu"))
    if negatives:
        loss = loss + (torch.cat(weights).to(device) * F.relu(torch.cat(negatives) + NEGATIVE_MARGIN).pow(3)).mean()
    return loss


def remote_weights(unlike: Tensor) -> Tensor:
    """What remote pairs count, (pictures, pairs): the more, the less alike they are; the mean of a picture is one.

    unlike: squared distances of their raw features; zero where they are not remote.
    """
    return unlike * unlike.shape[1] / unlike.sum(1, keepdim=True).clamp(min=1e-6)


def neighbourhoods(maps: Tensor, rows: Tensor, places: Tensor, width: int) -> Tensor:
    """The 3x3 cells around places (m, p) of pictures (m,) in maps (n, C, h, w): float32 (m * p, C, 3, 3)."""
    around = torch.arange(-1, 2, device="cpu")
    centres = places.flatten()[:, None, None]
    y, x = centres // width + around[:, None], centres % width + around
    owners = rows.repeat_interleave(places.shape[1])[:, None, None]
    return maps.permute(0, 2, 3, 1)[owners, y, x].float().permute(0, 3, 1, 2)
