"""Feature maps of many pictures, in half precision: computed once by a frozen backbone, then only read.

maps = extract_maps(backbone, pictures, "features", progress)
maps.fine[3]  # (C, h, w)
some = maps[[3, 5]]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_build.backbone import Backbone
from edge_build.cpr import LocalBranch
from edge_build.foreground import Foreground
from edge_build.progress import Progress

PICTURES_AT_ONCE = 4


@dataclass(frozen=True)
class Maps:
    """Features of pictures at two scales, float16, channels last in memory: fine (n, C, h, w), coarse (n, D, i, j)."""

    fine: Tensor
    coarse: Tensor

    def __getitem__(self, rows: Sequence[int]) -> Maps:
        return Maps(*(m[list(rows)].to(memory_format=torch.channels_last) for m in (self.fine, self.coarse)))

    @property
    def bytes_each(self) -> int:
        """What one picture's features take."""
        return sum(m[0].numel() * m.element_size() for m in (self.fine, self.coarse))

    def room_for(self, count: int) -> Maps:
        """Maps of the same shape for so many pictures, to be filled."""
        return Maps(*(_room(count, *m.shape[1:]) for m in (self.fine, self.coarse)))

    def put(self, first: int, features: Sequence[Tensor]) -> None:
        """Write the features of some pictures (k, C, h, w), (k, D, i, j) to rows from `first` on."""
        for m, part in zip((self.fine, self.coarse), features, strict=True):
            m[first : first + len(part)] = part


def extract_maps(backbone: Backbone, pictures: NDArray[np.uint8], what: str, progress: Progress) -> Maps:
    """The maps of prepared pictures, uint8 BGR (n, H, W, 3); `what` is the name of the step for people."""
    kept: Maps | None = None
    with torch.inference_mode():
        for start in progress.track(what, range(0, len(pictures), PICTURES_AT_ONCE)):
            features = backbone(torch.from_numpy(pictures[start : start + PICTURES_AT_ONCE]))
            if kept is None:
                kept = Maps(*features).room_for(len(pictures))
            kept.put(start, features)
    assert kept is not None
    return kept


def described(branch: LocalBranch, maps: Tensor) -> Tensor:
    """Descriptors of maps (n, C, h, w), float16 (n, d, h, w)."""
    with torch.inference_mode():
        return torch.cat([branch(part.float().contiguous()).half() for part in torch.split(maps, 4)])


def shares_of(foreground: Foreground, fine: Tensor) -> Tensor:
    """The foreground of fine maps (n, C, h, w), float16 (n, h, w)."""
    with torch.inference_mode():
        return torch.cat([foreground(part.float()).half() for part in torch.split(fine, 16)])


def _room(count: int, channels: int, height: int, width: int) -> Tensor:
    return torch.empty(count, height, width, channels, dtype=torch.float16).permute(0, 3, 1, 2)
