"""Learning CPR: a frozen backbone's features once, then foreground, codebook, made-up defects, training.

What the local branch learns is judged on good pictures that were kept aside and got made-up defects of their own. No
test picture takes part.

    learner = CprLearner(pictures, settings, 16, seed, progress)
    detector = learner.learn(range(len(pictures)))
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor

from edge_build.backbone import load_backbone, stage_at
from edge_build.cpr import STRIDES, Cpr, GlobalBranch
from edge_build.cpr_hold_out import COPIES, held_out_precision, held_out_rows
from edge_build.cpr_maps import described, extract_maps, shares_of
from edge_build.cpr_pool import PictureMaker, Source, pool_size
from edge_build.cpr_training import train
from edge_build.foreground import find_foreground
from edge_build.progress import Progress
from edge_build.recipe import CprSettings
from edge_build.textures import load_textures

CODES = 12
MOST_VECTORS = 50_000  # for the codebook
MOST_FOR_FOREGROUND = 200  # pictures


class CprLearner:
    """Holds the features of the good pictures in float16: 0.4 MB a picture at 320x320."""

    def __init__(
        self, pictures: NDArray[np.uint8], settings: CprSettings, dimensions: int, seed: int, progress: Progress
    ) -> None:
        """pictures: uint8 BGR (n, H, W, 3), prepared. dimensions: of a cell's descriptor.

        Raises ConfigError for weights or textures that cannot be read.
        """
        self._pictures, self._settings, self._seed, self._progress = pictures, settings, seed, progress
        self._size, self._dimensions = (int(pictures.shape[1]), int(pictures.shape[2])), dimensions
        self._textures = load_textures(settings.textures, *self._size, seed, progress)
        self._backbone = load_backbone(
            settings.backbone, tuple(stage_at(settings.backbone, s) for s in STRIDES), settings.backbone_weights
        )
        self._maps = extract_maps(self._backbone, pictures, "features", progress)

    def learn(self, chosen: Sequence[int]) -> Cpr:
        """The detector whose references are the chosen pictures alone.

        Raises ConfigError when the recipe asks for a foreground that is not there.
        """
        maps, settings = self._maps[chosen], self._settings
        some = maps.fine[:: -(-len(chosen) // MOST_FOR_FOREGROUND)]
        foreground, why = find_foreground(some, settings.kind, self._seed)
        self._progress.say(why)
        codebook = fit_codebook(maps.fine, self._seed)
        aside = held_out_rows(len(chosen))
        taught = [row for row in range(len(chosen)) if row not in aside]
        references = maps[taught]
        retrieval = GlobalBranch(codebook, [references.fine])
        pictures = self._pictures[list(chosen)]
        maker = PictureMaker(self._backbone, pictures, maps, retrieval, foreground, self._textures, self._seed)
        count = pool_size(settings.pool, maps)
        sources = [Source(taught[n % len(taught)], n % len(taught), n) for n in range(count)]
        pool = maker.pool(sources, "made-up defects", self._progress)
        checked = [row for row in aside for _ in range(COPIES)]
        held_out = [Source(row, None, count + n) for n, row in enumerate(checked)]
        check = maker.pool(held_out, "made-up hold-out", self._progress)
        judge = partial(held_out_precision, references=references, check=check, foreground=foreground)
        shape = (settings.width, self._dimensions)
        local, precision = train(*shape, settings.steps, self._seed, references, pool, judge, self._progress)
        self._progress.say(
            f"average precision on made-up defects of {len(aside)} held-out good pictures: {precision:.1%}"
        )
        part = None if foreground is None else (foreground, shares_of(foreground, maps.fine))
        notes = (why, *self._notes())
        whole = GlobalBranch(codebook, [maps.fine])
        banks = (described(local[0], maps.fine), described(local[1], maps.coarse))
        return Cpr(self._backbone, whole, local, banks, part, self._size, notes)

    def _notes(self) -> tuple[str, ...]:
        if self._settings.textures is not None:
            return ()
        return (
            "made-up defects come from the parts alone: a folder of pictures of surfaces (cpr.textures) adds variety",
        )


def fit_codebook(fine: Tensor, seed: int) -> Tensor:
    """Centres (CODES, C) of the cells of fine maps (n, C, h, w)."""
    cells = fine.permute(0, 2, 3, 1).reshape(-1, fine.shape[1])
    chosen = np.random.default_rng(seed).permutation(len(cells))[:MOST_VECTORS]
    vectors = cells[torch.from_numpy(chosen)].float().numpy()
    return torch.from_numpy(KMeans(CODES, n_init=10, random_state=seed).fit(vectors).cluster_centers_).float()
