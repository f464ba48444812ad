"""Feature maps of many pictures, in half precision: computed once by a frozen backbone, then only read.

    maps = extract_maps(backbone, pictures, scratch, "features", progress)
    maps.fine[3]  # (C, h, w)

A network computes on its own device; what goes in comes from the host's memory, and what comes out goes there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_build.detectors.backbones.backbone import Backbone
from edge_build.detectors.cpr.foreground import AnyForeground
from edge_build.detectors.cpr.local_branch import LocalBranch
from edge_build.detectors.cpr.matching import Direction
from edge_build.detectors.cpr.scratch_arrays import ScratchArrays
from edge_build.progress import Progress

PICTURES_AT_ONCE = 4


@dataclass(frozen=True)
class Maps:
    """Features of pictures at two scales, float16, channels last in memory: fine (n, C, h, w), coarse (n, D, i, j)."""

    fine: Tensor
    coarse: Tensor

    def empty(self, count: int, scratch: ScratchArrays) -> Maps:
        """Maps of the same shape for so many pictures, to be filled."""
        return Maps(*(_empty_map(count, m.shape[1:], scratch) for m in (self.fine, self.coarse)))

    def put(self, first: int, features: Sequence[Tensor]) -> None:
        """Write the features of some pictures (k, C, h, w), (k, D, i, j) to rows from `first` on."""
        for m, part in zip((self.fine, self.coarse), features, strict=True):
            m[first : first + len(part)] = part


def extract_maps(
    backbone: Backbone, pictures: NDArray[np.uint8], scratch: ScratchArrays, what: str, progress: Progress
) -> Maps:
    """The maps of prepared pictures, uint8 BGR (n, H, W, 3); `what` is the name of the step for people."""
    maps: Maps | None = None
    with torch.inference_mode():
        for start in progress.track(what, range(0, len(pictures), PICTURES_AT_ONCE)):
            features = see(backbone, pictures[start : start + PICTURES_AT_ONCE])
            if maps is None:
                maps = Maps(*(_empty_map(len(pictures), m.shape[1:], scratch) for m in features))
            maps.put(start, features)
    assert maps is not None
    return maps


def extract_directions(backbone: Backbone, first: int, pictures: NDArray[np.uint8], progress: Progress) -> list[Tensor]:
    """Features of prepared pictures (n, H, W, 3) at unit length, float16 (n, C, h, w), of the taps from `first` on."""
    parts: list[list[Tensor]] = [[] for _ in backbone.taps[first:]]
    with torch.inference_mode():
        for row in progress.track("coarser features", range(len(pictures) if parts else 0)):
            for part, m in zip(parts, see(backbone, pictures[row][None])[first:], strict=True):
                part.append(Direction()(m).half())
    return [torch.cat(part) for part in parts]


def see(backbone: Backbone, pictures: NDArray[np.uint8]) -> list[Tensor]:
    """Float features (n, C, h, w) of prepared pictures (n, H, W, 3), one of each tap."""
    return [m.cpu() for m in backbone(torch.from_numpy(pictures).to(device_of(backbone)))]


def described(branch: LocalBranch, maps: Tensor, rows: Sequence[int]) -> Tensor:
    """Descriptors of some of the maps (n, C, h, w), float16 (len(rows), d, h, w)."""
    with torch.inference_mode():
        parts = torch.split(torch.tensor(rows, device="cpu"), PICTURES_AT_ONCE)
        return torch.cat([describe(branch, maps[part]).half() for part in parts])


def describe(branch: LocalBranch, maps: Tensor) -> Tensor:
    """Descriptors of maps (n, C, h, w), float32 (n, d, h, w)."""
    found: Tensor = branch(maps.to(device_of(branch)).float().contiguous())
    return found.cpu()


def shares_of(foreground: AnyForeground, fine: Tensor, rows: Sequence[int]) -> Tensor:
    """The foreground of some of the fine maps (n, C, h, w), float16 (len(rows), h, w)."""
    with torch.inference_mode():
        return torch.cat([foreground(fine[row][None].float()).half() for row in rows])


def device_of(network: nn.Module) -> torch.device:
    """Where a network computes."""
    return next(network.parameters()).device


def _empty_map(count: int, shape: Sequence[int], scratch: ScratchArrays) -> Tensor:
    channels, height, width = shape
    return torch.from_numpy(scratch.array((count, height, width, channels), np.float16)).permute(0, 3, 1, 2)
