"""A picture's score from its anomaly map, at several sizes: a pinprick is one pixel, a stain hundreds.

The mean of the largest pixels is taken for each of several areas, divided by what good pictures usually reach there,
and raised to a power that makes all areas vary alike among good pictures. The largest of them is the score: 1 is usual.

    score = fit_area_score(maps_of_good_pictures)
    score(anomaly_map)  # (H, W) -> (1,)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

AREAS = (1, 64, 512)  # pixels of a map of MAP_PIXELS; of a larger map more
MAP_PIXELS = 320 * 320
STEP = 2  # the maps are smooth: every second pixel along both axes tells as much, and is found sooner
USUAL = 1  # the place among AREAS whose power is 1
MOST_POWER = 3.0
LEAST = 1e-6  # of a mean: its logarithm is taken


class AreaScore(nn.Module):
    """counts: sampled pixels of each area, ascending. usual: (areas,) the logarithm that good pictures reach.

    powers: (areas,).
    """

    usual: Tensor
    powers: Tensor

    def __init__(self, counts: tuple[int, ...], usual: Tensor, powers: Tensor) -> None:
        super().__init__()
        self.counts = counts
        self.register_buffer("usual", usual)
        self.register_buffer("powers", powers)

    def forward(self, anomaly_map: Tensor) -> Tensor:
        """(H, W) -> (1,)."""
        return torch.exp(((log_means(anomaly_map, self.counts) - self.usual) * self.powers)[None].amax(1))


def fit_area_score(maps: Tensor) -> AreaScore:
    """From the maps (n, H, W) of good pictures that the detector does not know."""
    counts = counts_of(maps.shape[1] * maps.shape[2])
    logs = torch.stack([log_means(m, counts) for m in maps])
    spreads = logs.std(0, correction=0)
    if len(maps) < 2 or (spreads == 0).any():
        return AreaScore(counts, logs.mean(0), torch.ones(len(counts)))
    return AreaScore(counts, logs.mean(0), (spreads[USUAL] / spreads).clamp(1 / MOST_POWER, MOST_POWER))


def counts_of(pixels: int) -> tuple[int, ...]:
    """How many sampled pixels each area is in a map of so many pixels."""
    return tuple(max(1, round(area * pixels / MAP_PIXELS / STEP**2)) for area in AREAS)


def log_means(anomaly_map: Tensor, counts: tuple[int, ...]) -> Tensor:
    """The logarithm of the mean of the largest pixels of a map (H, W), for each of the counts: (counts,)."""
    pixels = anomaly_map[STEP // 2 :: STEP, STEP // 2 :: STEP].flatten()
    largest = pixels.topk(max(counts)).values
    means = torch.stack([largest[:count].mean() for count in counts])
    return torch.log(torch.clamp(means, min=LEAST))
