"""Pictures with made-up defects as features, each with the good pictures that it is compared with.

The backbone is frozen, so a picture's features are computed once, when it is made. Picture number n of a seed is always
the same one, whatever was made before: a training that goes on has the pictures that it had.

    maker = PictureMaker(backbone, pictures, maps, references, foreground, textures, seed)
    sources = [Source(row=0, number=0)]
    pool = maker.empty_pool(sources, scratch)
    maker.fill(pool, range(1), sources, "made-up defects", progress)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from edge_build.detectors.backbones.backbone import Backbone
from edge_build.detectors.cpr.feature_maps import Maps, see
from edge_build.detectors.cpr.foreground import AnyForeground
from edge_build.detectors.cpr.retrieval import GlobalBranch
from edge_build.detectors.cpr.scratch_arrays import ScratchArrays
from edge_build.detectors.defects.real import RealDefects
from edge_build.detectors.defects.synthetic import augmented, with_defect
from edge_build.detectors.protocol import Example
from edge_build.progress import Progress


@dataclass(frozen=True)
class Pool:
    """Pictures with made-up defects, and what they are to be compared with.

    maps: their features. masks: bool (n, H, W). nearest: the good pictures that are their references, (n, k), never the
    picture itself. foreground: of the pictures before the defects, (n, h, w); None for a texture.
    """

    maps: Maps
    masks: NDArray[np.bool_]
    nearest: Tensor
    foreground: Tensor | None

    def arrays(self) -> list[NDArray[Any]]:
        """All that it holds, contiguous: to keep and to fill."""
        maps = [m.permute(0, 2, 3, 1).numpy() for m in (self.maps.fine, self.maps.coarse)]
        shares = [] if self.foreground is None else [self.foreground.numpy()]
        return [*maps, self.masks, self.nearest.numpy(), *shares]


@dataclass(frozen=True)
class Source:
    """Which picture gets defects (a row), and the number of what becomes of it: the same makes the same.

    defect: which real defect it gets; None for made-up ones. anywhere: that is put anywhere, not where it was found.
    The row of a picture of a real defect stays as it is.
    """

    row: int
    number: int
    defect: int | None = None
    anywhere: bool = False


@dataclass(frozen=True)
class References:
    """Good pictures (rows) to compare with, and what finds those that are most alike."""

    rows: tuple[int, ...]
    retrieval: GlobalBranch

    def nearest(self, fine: Tensor, itself: int) -> Tensor:
        """The rows (k,) for fine maps (1, C, h, w), without the row `itself` where there are others."""
        alone = itself not in self.rows or len(self.rows) == 1
        places = self.retrieval(fine) if alone else self.retrieval.others(fine, self.rows.index(itself))
        return torch.tensor(self.rows, device="cpu")[places]


class PictureMaker:
    """Makes defects on good pictures, and finds what the result is to be compared with.

    pictures: uint8 BGR (n, H, W, 3), the good ones, then those of real defects. maps: their features. foreground: where
    defects may be, None for a texture. textures: to blend in, may be none. defects: the real ones, if any.
    """

    def __init__(
        self,
        backbone: Backbone,
        pictures: NDArray[np.uint8],
        maps: Maps,
        references: References,
        foreground: AnyForeground | None,
        textures: Sequence[NDArray[np.uint8]],
        seed: int,
        defects: RealDefects | None = None,
    ) -> None:
        self._backbone, self._pictures, self._maps, self._references = backbone, pictures, maps, references
        self.foreground, self._textures, self._seed, self._defects = foreground, textures, seed, defects
        self.real = range(len(pictures) - len(defects or ()), len(pictures))  # rows of pictures of real defects

    def empty_pool(self, sources: Sequence[Source], scratch: ScratchArrays) -> Pool:
        """Room for one picture of each source; what is in it is not defined."""
        count, (height, width) = len(sources), self._pictures.shape[1:3]
        references = self._references
        others = max(1, len(references.rows) - any(source.row in references.rows for source in sources))
        return Pool(
            self._maps.empty(count, scratch),
            scratch.array((count, height, width), np.bool_),
            torch.empty(count, min(references.retrieval.count, others), dtype=torch.long, device="cpu"),
            None if self.foreground is None else torch.empty(count, *self._maps.fine.shape[2:], device="cpu"),
        )

    def fill(self, pool: Pool, places: Sequence[int], sources: Sequence[Source], what: str, progress: Progress) -> None:
        """Put a picture of each source into its place of the pool, in the stead of what was there."""
        with torch.inference_mode():
            for place, source in progress.track(what, list(zip(places, sources, strict=True))):
                share = self._share(source.row)
                if pool.foreground is not None and share is not None:
                    pool.foreground[place] = share[0]
                image, pool.masks[place] = self._made(source, share)
                features = see(self._backbone, image[None])
                pool.maps.put(place, features)
                pool.nearest[place] = self._references.nearest(features[0], source.row)[: pool.nearest.shape[1]]

    def example(self, source: Source) -> Example:
        """The picture that a source becomes in a pool."""
        with torch.inference_mode():
            picture, mask = self._made(source, self._share(source.row))
        return Example(picture, mask, source.defect is not None or source.row in self.real)

    def alike(self, row: int) -> list[int]:
        """The good pictures that the picture of a row is compared with, the most alike first."""
        with torch.inference_mode():
            return list(self._references.nearest(self._maps.fine[row][None].float(), row).tolist())

    def _share(self, row: int) -> Tensor | None:
        """The foreground of a good picture, (1, h, w)."""
        return None if self.foreground is None else self.foreground(self._maps.fine[row][None].float())

    def _made(self, source: Source, share: Tensor | None) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        random = np.random.default_rng([self._seed, source.number])
        picture, place = self._pictures[source.row], None
        if self._defects is not None and source.row in self.real:
            return augmented(picture, random), self._defects.masks[source.row - self.real.start]
        if share is not None:
            size = (picture.shape[0], picture.shape[1])
            large = F.interpolate(share[None], size, mode="bilinear", align_corners=False)[0, 0]
            place = (large > 0.5).numpy()
        if self._defects is not None and source.defect is not None:
            image, mask = self._defects.on(source.defect, picture, place, random, source.anywhere)
        else:
            image, mask = with_defect(picture, place, self._textures, random)
        return augmented(image, random), mask
