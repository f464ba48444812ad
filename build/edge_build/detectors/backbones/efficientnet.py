"""EfficientNet-B0 and the Lite variants, from the paper's table.

Source: Tan & Le 2019, "EfficientNet", Table 1 and section 3.3; the Lite variants drop squeeze-and-excitation, use
ReLU6 and keep the stem and the repeats of the first and last stage. Lite weights have the names of the packages that
carry them and pad like TensorFlow; those of B0 have torchvision's names and pad evenly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_build.detectors.backbones.layers import (
    IMAGENET_MEAN_BGR,
    IMAGENET_STD_BGR,
    Conv,
    Network,
    even_padding,
    same_padding,
)
from edge_build.detectors.backbones.weights import State, folded, tensor

STEM_CHANNELS = 32
SQUEEZED = 4  # squeeze-and-excitation has a quarter of the channels that go into its block


@dataclass(frozen=True)
class Stage:
    """One row of the paper's Table 1; `stride` is that of its first block."""

    expansion: int
    kernel: int
    stride: int
    channels: int
    repeats: int


STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)
STRIDES = tuple(accumulate((s.stride for s in STAGES), lambda stride, own: stride * own, initial=2))[1:]
# name -> (width multiplier, depth multiplier), section 3.3
VARIANTS = {
    "efficientnet-b0": (1.0, 1.0),
    "efficientnet-lite0": (1.0, 1.0),
    "efficientnet-lite1": (1.0, 1.1),
    "efficientnet-lite2": (1.1, 1.2),
}


def stages_of(variant: str) -> tuple[Stage, ...]:
    """The seven stages of a variant, widths rounded to multiples of eight, repeats rounded up."""
    width, depth = VARIANTS[variant]
    last = len(STAGES) - 1
    return tuple(
        Stage(
            s.expansion,
            s.kernel,
            s.stride,
            _rounded_to_eight(s.channels * width),
            s.repeats if number in (0, last) else math.ceil(s.repeats * depth),
        )
        for number, s in enumerate(STAGES)
    )


@dataclass(frozen=True)
class Names:
    """What a block's convolutions are called, each with its batch norm; `squeeze` as a prefix, None without one."""

    expand: tuple[str, str]
    depthwise: tuple[str, str]
    project: tuple[str, str]
    squeeze: str | None


@dataclass(frozen=True)
class Style:
    """In what the variants differ, beyond the table."""

    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    stem: tuple[str, str]
    activation: Callable[[Tensor], Tensor]
    eps: float
    padding: Callable[[int, int], tuple[int, int]]
    block: Callable[[int, int, int, bool], Names]  # stage, repeat, number among all blocks, whether it expands

    def conv(
        self, state: State, names: tuple[str, str], shape: tuple[int, int, int, int], stride: int, active: bool
    ) -> Conv:
        """A convolution with its batch norm; shape: (out, in, k, k)."""
        weight, bias = folded(state, *names, shape, self.eps)
        return Conv(weight, bias, stride, self.padding(shape[2], stride), self.activation if active else None)


class SqueezeExcitation(nn.Module):
    """Every channel times a gate that the means of all channels decide (Hu et al. 2018)."""

    def __init__(self, state: State, name: str, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = _gate(state, f"{name}.fc1", (squeezed, channels, 1, 1), F.silu)
        self.excite = _gate(state, f"{name}.fc2", (channels, squeezed, 1, 1), torch.sigmoid)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> the same shape."""
        gates: Tensor = self.excite(self.squeeze(x.mean((2, 3), keepdim=True)))
        return x * gates


def _gate(state: State, name: str, shape: tuple[int, int, int, int], activation: Callable[[Tensor], Tensor]) -> Conv:
    bias = tensor(state, f"{name}.bias", shape[:1])
    return Conv(tensor(state, f"{name}.weight", shape), bias, 1, (0, 0), activation)


class Block(nn.Module):
    """Inverted residual (MBConv): expand, depthwise, squeeze and excite where there is such, project, add."""

    def __init__(self, state: State, style: Style, names: Names, stage: Stage, channels: int, stride: int) -> None:
        super().__init__()
        inner = channels * stage.expansion
        layers: list[nn.Module] = []
        if stage.expansion > 1:
            layers.append(style.conv(state, names.expand, (inner, channels, 1, 1), 1, active=True))
        layers.append(style.conv(state, names.depthwise, (inner, 1, stage.kernel, stage.kernel), stride, active=True))
        if names.squeeze is not None:
            layers.append(SqueezeExcitation(state, names.squeeze, inner, channels // SQUEEZED))
        layers.append(style.conv(state, names.project, (stage.channels, inner, 1, 1), 1, active=False))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, C', H/stride, W/stride)."""
        y: Tensor = self.layers(x)
        return x + y if x.shape == y.shape else y


def _lite_names(stage: int, repeat: int, flat: int, expands: bool) -> Names:
    block = f"_blocks.{flat}"
    return Names(
        (f"{block}._expand_conv", f"{block}._bn0"),
        (f"{block}._depthwise_conv", f"{block}._bn1"),
        (f"{block}._project_conv", f"{block}._bn2"),
        None,
    )


def _torchvision_names(stage: int, repeat: int, flat: int, expands: bool) -> Names:
    block = f"features.{stage}.{repeat}.block"
    depthwise, squeeze, project = (f"{block}.{place + expands}" for place in range(3))
    return Names(
        (f"{block}.0.0", f"{block}.0.1"),
        (f"{depthwise}.0", f"{depthwise}.1"),
        (f"{project}.0", f"{project}.1"),
        squeeze,
    )


LITE = Style(
    mean=(127.0,) * 3,
    scale=(128.0,) * 3,
    stem=("_conv_stem", "_bn0"),
    activation=F.relu6,
    eps=1e-3,
    padding=same_padding,
    block=_lite_names,
)
TORCHVISION = Style(
    mean=IMAGENET_MEAN_BGR,
    scale=IMAGENET_STD_BGR,
    stem=("features.0.0", "features.0.1"),
    activation=F.silu,
    eps=1e-5,
    padding=even_padding,
    block=_torchvision_names,
)


def network(variant: str, stages: int, state: State) -> Network:
    """The first so many stages. Raises UnfitWeightsError."""
    style = TORCHVISION if variant == "efficientnet-b0" else LITE
    stem = style.conv(state, style.stem, (STEM_CHANNELS, 3, 3, 3), 2, active=True)
    stem.weight.data = stem.weight.data.flip(1) / torch.tensor(style.scale)[:, None, None]  # takes BGR, and the scale
    found, flat, channels = [], 0, STEM_CHANNELS
    for number, stage in enumerate(stages_of(variant)[:stages], 1):
        blocks = []
        for repeat in range(stage.repeats):
            names = style.block(number, repeat, flat, stage.expansion > 1)
            blocks.append(Block(state, style, names, stage, channels, stage.stride if repeat == 0 else 1))
            flat, channels = flat + 1, stage.channels
        found.append(nn.Sequential(*blocks))
    return Network(style.mean, stem, list(found))


def _rounded_to_eight(channels: float) -> int:
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
