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

from edge_build.coreset import k_center_greedy
from edge_build.efficientnet import load_backbone
from edge_build.patchcore import PatchCore, PatchFeatures, Projection
from edge_build.progress import Progress
from edge_build.recipe import PatchcoreSettings
from edge_runtime.errors import ConfigError

PICTURES_AT_ONCE = 4


class PatchcoreLearner:
    """Holds the patch features of the good pictures, float32 (n, d, h, w): about 1 MB a picture at 320x320."""

    def __init__(self, pictures: NDArray[np.uint8], settings: PatchcoreSettings, seed: int, progress: Progress) -> None:
        """pictures: uint8 BGR (n, H, W, 3), prepared. The weights of the backbone are loaded here."""
        self._settings, self._seed, self._progress = settings, seed, progress
        self._size = (int(pictures.shape[1]), int(pictures.shape[2]))
        self._extractor = PatchFeatures(load_backbone(settings.backbone, settings.stages))
        self._features = self._extract(torch.from_numpy(pictures))

    def learn(self, chosen: Sequence[int]) -> PatchCore:
        """The detector whose bank comes from the chosen pictures alone.

        Raises ConfigError when the recipe asks for more dimensions than the two stages have.
        """
        maps = self._features if len(chosen) == len(self._features) else self._features[list(chosen)]
        patches = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
        projection = fit_projection(patches, self._settings.dimensions)
        patches = projection(patches)
        entries = self._settings.bank.entries_for(len(patches))
        bank = patches[k_center_greedy(patches, entries, self._seed, self._progress)]
        return PatchCore(self._extractor, projection, bank, self._size, self._settings.neighbors)

    def _extract(self, pictures: Tensor) -> Tensor:
        batches = torch.split(pictures, PICTURES_AT_ONCE)
        with torch.inference_mode():
            return torch.cat([self._extractor(batch) for batch in self._progress.track("features", batches)])


def fit_projection(patches: Tensor, dimensions: int | float | None) -> Projection:
    """Centre patches (n, d) on their mean; keep the principal axes asked for.

    dimensions: None keeps all; a whole number that many; a share below 1 the fewest that hold that share of variance.
    Raises ConfigError for more axes than there are.
    """
    mean = patches.mean(0)
    if dimensions is None:
        return Projection(mean, None)
    width = patches.shape[1]
    if dimensions > width:
        raise ConfigError(f"patchcore.dimensions is {dimensions}, but these stages have {width}: ask for at most that")
    covariance = torch.cov(patches.T)
    variances, axes = torch.linalg.eigh(covariance)  # ascending
    variances, axes = variances.flip(0), axes.flip(1)
    if isinstance(dimensions, float):
        explained = variances.cumsum(0) / variances.sum()
        dimensions = int((explained < dimensions).sum()) + 1
    return Projection(mean, axes[:, :dimensions].contiguous())
