"""Learning PatchCore: features of all pictures once, then a bank from any part of them.

learner = PatchcoreLearner(pictures, settings, size, seed, progress)
detector = learner.learn(range(len(pictures)))
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_build.detectors.backbones.backbone import load_backbone
from edge_build.detectors.coreset import k_center_greedy
from edge_build.detectors.patchcore.model import PatchCore, PatchFeatures, Projection
from edge_build.progress import Progress
from edge_build.recipe.detector_settings import PatchcoreSettings
from edge_runtime.errors import ConfigError

PICTURES_AT_ONCE = 4
ROWS_AT_ONCE = 8192
MOST_PATCHES = 200_000  # enough for a mean of each entry
PRIOR_PATCHES = 20


class PatchcoreLearner:
    """Holds the patch features of the good pictures, float32 (n, d, h, w): about 1 MB a picture at 320x320."""

    compares = False

    def __init__(
        self,
        pictures: NDArray[np.uint8],
        settings: PatchcoreSettings,
        seed: int,
        progress: Progress,
        features: type[PatchFeatures] = PatchFeatures,
    ) -> None:
        """pictures: uint8 BGR (n, H, W, 3), prepared. The weights of the backbone are loaded here.

        features: what makes patches of the backbone's two stages.
        """
        self._settings, self._seed, self._progress = settings, seed, progress
        self._size = (int(pictures.shape[1]), int(pictures.shape[2]))
        self._extractor = features(load_backbone(settings.backbone, settings.stages, settings.backbone_weights))
        self._features = self._extract(torch.from_numpy(pictures))

    def learn(self, chosen: Sequence[int], known: Sequence[int] = ()) -> PatchCore:
        """The detector whose bank comes from the chosen pictures alone; `known` must be empty.

        Raises ConfigError when the recipe asks for more dimensions than the two stages have.
        """
        assert not known, "what a bank knows, it has learned from"
        maps = self._features if len(chosen) == len(self._features) else self._features[list(chosen)]
        patches = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
        adapt = self._settings.adapt
        fine = self._extractor.fine_channels if adapt else None
        projection = fit_projection(patches, fine, self._settings.dimensions)
        patches = projection(patches)
        entries = self._settings.bank.entries_for(len(patches))
        bank = patches[k_center_greedy(patches, entries, self._seed, self._progress)]
        bank, scales = settle(patches, bank, self._seed) if adapt else (bank, torch.ones(len(bank)))
        return PatchCore(self._extractor, projection, bank, scales, self._size, self._settings.neighbors, adapt)

    def _extract(self, pictures: Tensor) -> Tensor:
        batches = torch.split(pictures, PICTURES_AT_ONCE)
        with torch.inference_mode():
            return torch.cat([self._extractor(batch) for batch in self._progress.track("features", batches)])


def fit_projection(patches: Tensor, fine_channels: int | None, dimensions: int | float | None) -> Projection:
    """How patches (n, d) are centred, balanced and reduced.

    fine_channels: the first so many columns, those of the finer stage, get one gain that makes the variances of both
    stages equal; None leaves them as they are. dimensions: None keeps all; a whole number keeps that many principal
    axes; a share below 1 the fewest that hold that share of variance.
    Raises ConfigError for more axes than there are.
    """
    width = patches.shape[1]
    if dimensions is not None and dimensions > width:
        raise ConfigError(f"patchcore.dimensions is {dimensions}, but these stages have {width}: ask for at most that")
    mean, gain = patches.mean(0), torch.ones(width)
    covariance = torch.cov(patches.T)
    if fine_channels is not None:
        variances = covariance.diagonal()
        fine, coarse = variances[:fine_channels].sum(), variances[fine_channels:].sum()
        if fine > 0 and coarse > 0:
            gain[:fine_channels] = torch.sqrt(coarse / fine)
    if dimensions is None:
        return Projection(mean, gain, None)
    explained, axes = torch.linalg.eigh(gain[:, None] * covariance * gain)  # ascending
    explained, axes = explained.flip(0), axes.flip(1)
    if isinstance(dimensions, float):
        shares = explained.cumsum(0) / explained.sum()
        dimensions = int((shares < dimensions).sum()) + 1
    return Projection(mean, gain, axes[:, :dimensions].contiguous())


def settle(patches: Tensor, bank: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Move each bank entry (m, d) halfway to the middle of the good patches (n, d) nearest to it; scale its distances.

    The greedy rule takes patches from the rim of what is normal; a step of k-means (Lloyd 1982) would put the entry in
    the middle of its patches, and half of it keeps rare ones in reach. The reach of an entry is the root mean square
    distance of its patches. Where good patches vary much, a distance says less: its scale is the overall reach over the
    entry's own. Entries with few patches lean on the overall reach, as if PRIOR_PATCHES more had it.
    At most MOST_PATCHES take part, drawn by the seed. Returns the entries (m, d) and the scales (m,).
    """
    generator = torch.Generator().manual_seed(seed)
    if len(patches) > MOST_PATCHES:
        patches = patches[torch.randperm(len(patches), generator=generator)[:MOST_PATCHES]]
    lengths = bank.square().sum(1)
    owners = torch.cat(
        [torch.addmm(lengths, part, bank.T, alpha=-2).argmin(1) for part in torch.split(patches, ROWS_AT_ONCE)]
    )
    counts = 1 + torch.bincount(owners, minlength=len(bank))  # the entry counts as one of its patches
    middles = bank.clone().index_add_(0, owners, patches) / counts[:, None]
    settled = (bank + middles) / 2
    squares = (patches - settled[owners]).square().sum(1)
    overall = squares.mean()
    if overall == 0:
        return bank, torch.ones(len(bank))
    sums = torch.zeros(len(bank)).index_add_(0, owners, squares)
    scales = torch.sqrt(overall * (counts + PRIOR_PATCHES) / (sums + (1 + PRIOR_PATCHES) * overall))
    return settled, scales
