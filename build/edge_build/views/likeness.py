"""How much alike good pictures are, place by place, in what a detector sees: the measure that decides on a view.

A detector compares a place with the same place of good pictures. So a view is good when a good picture's cells are near
to those at the same place of the good pictures most like it. `unexplained` is the share of all that varies in the
features which the nearest good pictures do not tell: 0 for pictures that are all the same, about 1 for places that have
nothing in common.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from edge_build.detectors.backbones.backbone import Backbone, load_backbone, stage_at

NEAREST = 3  # good pictures that one is compared with
STRIDE = 8
AT_ONCE = 8


def load_measure(name: str = "efficientnet-lite0") -> Backbone:
    """The network whose features are compared: small, and always here."""
    return load_backbone(name, (stage_at(name, STRIDE),))


def unexplained(backbone: Backbone, pictures: NDArray[np.uint8]) -> float:
    """pictures: uint8 BGR (n, H, W, 3) of n good parts, seen in one way."""
    with torch.inference_mode():
        parts = [backbone(torch.from_numpy(part))[0] for part in np.array_split(pictures, -(-len(pictures) // AT_ONCE))]
        maps = F.normalize(torch.cat(parts), dim=1)
        return _ratio(maps)


def _ratio(maps: Tensor) -> float:
    """maps: (n, C, h, w) at unit length."""
    number = len(maps)
    everywhere = maps.mean((0, 2, 3), keepdim=True)
    all_that_varies = (maps - everywhere).square().sum(1).mean()
    left = maps.new_zeros(())
    for row in range(number):
        others = torch.cat([maps[:row], maps[row + 1 :]])
        apart = (others - maps[row]).square().sum(1)  # (n - 1, h, w)
        nearest = apart.mean((1, 2)).topk(min(NEAREST, number - 1), largest=False).indices
        left += apart[nearest].amin(0).mean() / 2  # two pictures' own noise, not one's
    return float(left / number / all_that_varies.clamp(min=1e-6))
