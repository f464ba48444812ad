"""Which of the good pictures do not look like the others: found before anything is learned, by whatever detector.

A bad picture among the good ones is learned as good, and its score sets the threshold. Held-out scores alone do not
find it where others like it were learned from. So the pictures are dealt in blocks of neighbours to a few groups, and
each group has a sparse memory of its own (the greedy coreset of PatchCore's features). Every picture is compared with
the memories of all other groups, and of each cell's distances the median counts: what only some groups know is strange
to the others, as a patch that few pictures have is to SoftPatch (Jiang et al., "SoftPatch: Unsupervised Anomaly
Detection with Noisy Data", 2022). Suspicious is a score far beyond the tail of all (edge_calibration.tail).

    suspects = find_suspects(pictures, seed, progress)
    suspects.rows
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from edge_build.data.pictures import Picture
from edge_build.detectors.backbones.backbone import load_backbone
from edge_build.detectors.coreset import k_center_greedy
from edge_build.detectors.patchcore.model import PatchFeatures
from edge_build.progress import Progress, SilentProgress
from edge_calibration.tail import fit_tail

BACKBONE, STAGES = "efficientnet-lite0", (3, 5)
GROUPS = 6
BLOCKS_PER_GROUP = 4
LEAST_PICTURES = 2 * GROUPS  # fewer cannot say what is usual
ENTRIES_SHARE, MOST_ENTRIES, LEAST_ENTRIES = 0.01, 512, 64
PICTURES_AT_ONCE = 4
SMOOTHING = 1.0  # cells
FAR = 4.0  # spreads above the middle
MOST_SHARE = 0.25  # of more one cannot say that they are the exception


@dataclass(frozen=True)
class Suspect:
    """A good picture that is suspicious: as the model sees it, uint8 BGR (H, W, 3), how many spreads above the middle
    its score is, and its map float32 (h, w), in the same units. left_out: nothing was learned from it."""

    picture: Picture
    seen: NDArray[np.uint8]
    deviation: float
    map: NDArray[np.float32]
    left_out: bool


@dataclass(frozen=True)
class Suspects:
    """Scores of all pictures (n,), in spreads above the middle; the rows of those that are suspicious, the strangest
    first, and for each its map float32 (h, w), in the same units."""

    scores: NDArray[np.float64]
    rows: tuple[int, ...]
    maps: tuple[NDArray[np.float32], ...]


def find_suspects(pictures: NDArray[np.uint8], seed: int, progress: Progress) -> Suspects:
    """Pictures: uint8 BGR (n, H, W, 3) in name order. None is suspicious when they are few or all alike, or when so
    many are unlike the others that they are no exception."""
    if len(pictures) < LEAST_PICTURES:
        return Suspects(np.zeros(len(pictures)), (), ())
    strange = strangeness(_features(pictures, progress), seed, progress)
    scores = strange.max((1, 2)).astype(np.float64)
    tail = fit_tail(scores)
    if tail is None:
        return Suspects(np.zeros(len(pictures)), (), ())
    deviations = tail.deviation(scores)
    rows = [int(row) for row in np.argsort(-deviations) if deviations[row] > FAR]
    if len(rows) > MOST_SHARE * len(pictures):
        rows = []
    maps = tuple(tail.deviation(strange[row].clip(1e-6)).astype(np.float32) for row in rows)
    return Suspects(deviations, tuple(rows), maps)


def strangeness(features: Tensor, seed: int, progress: Progress) -> NDArray[np.float32]:
    """How far each cell of features (n, d, h, w) is from what the other groups' memories know, smoothed, (n, h, w)."""
    count, _, height, width = features.shape
    cells = features.flatten(2).transpose(1, 2)  # (n, h * w, d)
    owner = groups_of(count)
    memories = [_memory(cells[owner == group].flatten(0, 1), seed) for group in range(GROUPS)]
    strange = np.empty((count, height, width), np.float32)
    for row in progress.track("unlike the others", range(count)):
        others = [memory for group, memory in enumerate(memories) if group != owner[row]]
        distances = torch.stack([_nearest(cells[row], memory) for memory in others])
        usual = distances.median(0).values.view(height, width).numpy()
        strange[row] = gaussian_filter(usual, SMOOTHING, mode="nearest")
    return strange


def groups_of(count: int) -> NDArray[np.int64]:
    """The group of each of so many pictures in name order: blocks of neighbours, dealt in turn."""
    blocks = min(GROUPS * BLOCKS_PER_GROUP, count)
    return np.arange(count) * blocks // count % GROUPS


def _features(pictures: NDArray[np.uint8], progress: Progress) -> Tensor:
    extractor = PatchFeatures(load_backbone(BACKBONE, STAGES))
    batches = torch.split(torch.from_numpy(pictures), PICTURES_AT_ONCE)
    with torch.inference_mode():
        return torch.cat([extractor(batch) for batch in progress.track("first look", batches)])


def _memory(patches: Tensor, seed: int) -> Tensor:
    """What a group of pictures knows: some of its patches (n, d), which cover all of them."""
    wanted = int(np.clip(ENTRIES_SHARE * len(patches), LEAST_ENTRIES, MOST_ENTRIES))
    return patches[k_center_greedy(patches, min(wanted, len(patches)), seed, SilentProgress())]


def _nearest(patches: Tensor, memory: Tensor) -> Tensor:
    """The distance of each patch (n, d) to the nearest entry (m, d), (n,)."""
    mean = memory.mean(0)
    patches, memory = patches - mean, memory - mean
    squares = torch.addmm(memory.square().sum(1), patches, memory.T, alpha=-2).amin(1) + patches.square().sum(1)
    return torch.sqrt(squares.clamp(min=0))
