"""Pictures with made-up defects as features, each with the good pictures that it is compared with.

The backbone is frozen, so a picture's features are computed once, when it is made. Picture number n of a seed is always
the same one, whatever was made before.

    maker = PictureMaker(backbone, pictures, maps, retrieval, foreground, textures, seed)
    pool = maker.pool([Source(row=0, own=None, number=0)], "made-up defects", progress)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from edge_build.backbone import Backbone
from edge_build.cpr import GlobalBranch
from edge_build.cpr_maps import Maps
from edge_build.foreground import Foreground
from edge_build.progress import Progress
from edge_build.synthetic import augmented, with_defect

POOL_BYTES = 3 << 29  # features of made-up pictures that are kept in memory


@dataclass(frozen=True)
class Pool:
    """Pictures with made-up defects, and what they are to be compared with.

    maps: their features. masks: bool (n, H, W). nearest: rows of their references (n, k), never the picture itself.
    foreground: of the pictures before the defects, (n, h, w); None for a texture.
    """

    maps: Maps
    masks: NDArray[np.bool_]
    nearest: Tensor
    foreground: Tensor | None


@dataclass(frozen=True)
class Source:
    """What a picture is made from: a row of the good pictures, its row among the references if it is one.

    number: of the picture that is made; the same number makes the same defects.
    """

    row: int
    own: int | None
    number: int


class PictureMaker:
    """Makes defects on good pictures, and finds what the result is to be compared with.

    pictures: uint8 BGR (n, H, W, 3). maps: their features. retrieval: holds the references. foreground: where defects
    may be, None for a texture. textures: to blend in, may be none.
    """

    def __init__(
        self,
        backbone: Backbone,
        pictures: NDArray[np.uint8],
        maps: Maps,
        retrieval: GlobalBranch,
        foreground: Foreground | None,
        textures: Sequence[NDArray[np.uint8]],
        seed: int,
    ) -> None:
        self._backbone, self._pictures, self._maps = backbone, pictures, maps
        self._retrieval, self._foreground, self._textures, self._seed = retrieval, foreground, textures, seed

    def pool(self, sources: Sequence[Source], what: str, progress: Progress) -> Pool:
        """One picture of each source; `what` is the name of the step for people."""
        count, size = len(sources), self._pictures.shape[1:3]
        maps, masks = self._maps.room_for(count), np.empty((count, *size), np.bool_)
        nearest, shares = [], []
        with torch.inference_mode():
            for place, source in enumerate(progress.track(what, sources)):
                share = self._share(source.row)
                if share is not None:
                    shares.append(share)
                image, masks[place] = self._image(source, share)
                features = self._backbone(torch.from_numpy(image[None]))
                maps.put(place, features)
                nearest.append(self._nearest(features[0], source.own))
        return Pool(maps, masks, torch.stack(nearest), torch.cat(shares) if shares else None)

    def _share(self, row: int) -> Tensor | None:
        """The foreground of a good picture, (1, h, w)."""
        return None if self._foreground is None else self._foreground(self._maps.fine[row][None].float())

    def _image(self, source: Source, share: Tensor | None) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        random = np.random.default_rng([self._seed, source.number])
        picture, place = self._pictures[source.row], None
        if share is not None:
            size = (picture.shape[0], picture.shape[1])
            large = F.interpolate(share[None], size, mode="bilinear", align_corners=False)[0, 0]
            place = (large > 0.5).numpy()
        image, mask = with_defect(picture, place, self._textures, random)
        return augmented(image, random), mask

    def _nearest(self, fine: Tensor, own: int | None) -> Tensor:
        """The references' rows (k,) for fine maps (1, C, h, w), without the picture itself where there are others."""
        far = self._retrieval.divergences(fine)
        others = len(far)
        if own is not None and others > 1:
            far[own], others = torch.inf, others - 1
        return far.topk(min(self._retrieval.count, others), largest=False).indices


def pool_size(wanted: int, maps: Maps) -> int:
    """How many made-up pictures are kept: as wanted, as far as their features fit into memory."""
    return max(1, min(wanted, POOL_BYTES // maps.bytes_each))
