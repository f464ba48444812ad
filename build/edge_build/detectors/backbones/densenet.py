"""DenseNet-201 from its paper's table, with weights in torchvision's naming.

Source: Huang et al. 2017, "Densely Connected Convolutional Networks", Table 1 (DenseNet-201, growth 32, bottlenecks of
4 x 32, transitions that halve the channels). A stage is a dense block with the transition before it; its map is the
block's output, before any norm.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_build.detectors.backbones.layers import IMAGENET_MEAN_BGR, IMAGENET_STD_BGR, Conv, Network, even_padding
from edge_build.detectors.backbones.weights import State, folded, norm, tensor

BLOCKS = (6, 12, 48, 32)
STRIDES = (4, 8, 16, 32)
GROWTH, BOTTLENECK, STEM_CHANNELS = 32, 128, 64
BATCH_NORM_EPS = 1e-5
OLD_NAME = re.compile(
    r"(denselayer\d+\.(?:norm|conv))\.([12])\."
)  # in the published file, until torchvision renames it


class Affine(nn.Module):
    """A batch norm that no convolution can take up, and ReLU."""

    gain: Tensor
    offset: Tensor

    def __init__(self, gain: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("gain", gain[:, None, None])
        self.register_buffer("offset", offset[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C, h, w)."""
        return F.relu(x * self.gain + self.offset)


class DenseLayer(nn.Module):
    """Norm, ReLU, 1x1 convolution, norm, ReLU, 3x3 convolution; what comes out joins what went in."""

    def __init__(self, state: State, name: str, channels: int) -> None:
        super().__init__()
        squeeze = folded(state, f"{name}.conv1", f"{name}.norm2", (BOTTLENECK, channels, 1, 1), BATCH_NORM_EPS)
        self.before = Affine(*norm(state, f"{name}.norm1", channels, BATCH_NORM_EPS))
        self.squeeze = Conv(*squeeze, 1, (0, 0), F.relu)
        grow = tensor(state, f"{name}.conv2.weight", (GROWTH, BOTTLENECK, 3, 3))
        self.grow = Conv(grow, torch.zeros(GROWTH), 1, even_padding(3, 1), None)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C + GROWTH, h, w)."""
        return torch.cat([x, self.grow(self.squeeze(self.before(x)))], 1)


class Transition(nn.Module):
    """Norm, ReLU, 1x1 convolution to half the channels, mean over 2x2 cells."""

    def __init__(self, state: State, name: str, channels: int) -> None:
        super().__init__()
        self.before = Affine(*norm(state, f"{name}.norm", channels, BATCH_NORM_EPS))
        weight = tensor(state, f"{name}.conv.weight", (channels // 2, channels, 1, 1))
        self.halve = Conv(weight, torch.zeros(channels // 2), 1, (0, 0), None)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C/2, h/2, w/2)."""
        return F.avg_pool2d(self.halve(self.before(x)), 2)


def network(stages: int, state: State) -> Network:
    """The first so many stages. Raises UnfitWeightsError."""
    state = {OLD_NAME.sub(r"\1\2.", name): value for name, value in state.items()}
    weight, bias = folded(state, "features.conv0", "features.norm0", (STEM_CHANNELS, 3, 7, 7), BATCH_NORM_EPS)
    weight = weight.flip(1) / torch.tensor(IMAGENET_STD_BGR)[:, None, None]  # takes BGR, and the scale of the input
    stem = nn.Sequential(Conv(weight, bias, 2, even_padding(7, 2), F.relu), nn.MaxPool2d(3, 2, 1))
    channels, found = STEM_CHANNELS, []
    for number, layers in enumerate(BLOCKS[:stages], 1):
        block: list[nn.Module] = []
        if number > 1:
            block.append(Transition(state, f"features.transition{number - 1}", channels))
            channels //= 2
        for layer in range(1, layers + 1):
            block.append(DenseLayer(state, f"features.denseblock{number}.denselayer{layer}", channels))
            channels += GROWTH
        found.append(nn.Sequential(*block))
    return Network(IMAGENET_MEAN_BGR, stem, list(found))
