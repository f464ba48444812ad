"""Weights in torchvision's naming, made up, of the first stages of EfficientNet-B0 and DenseNet-201."""

from __future__ import annotations

import torch
from torch import Tensor


class MadeState:
    """Collects tensors by name: convolutions, and batch norms that have seen something."""

    def __init__(self, seed: int = 0) -> None:
        self.state: dict[str, Tensor] = {}
        self._random = torch.Generator().manual_seed(seed)

    def conv(self, name: str, out: int, into: int, kernel: int, bias: bool = False) -> None:
        scale = (2 / (into * kernel * kernel)) ** 0.5
        self.state[f"{name}.weight"] = scale * torch.randn(out, into, kernel, kernel, generator=self._random)
        if bias:
            self.state[f"{name}.bias"] = 0.3 * torch.randn(out, generator=self._random)

    def norm(self, name: str, channels: int) -> None:
        self.state[f"{name}.weight"] = 0.5 + torch.rand(channels, generator=self._random)
        self.state[f"{name}.bias"] = 0.3 * torch.randn(channels, generator=self._random)
        self.state[f"{name}.running_mean"] = 0.3 * torch.randn(channels, generator=self._random)
        self.state[f"{name}.running_var"] = 0.5 + torch.rand(channels, generator=self._random)
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(3)


def made_b0_state() -> dict[str, Tensor]:
    """Stages 1 to 3, from the paper's table."""
    made = MadeState()
    made.conv("features.0.0", 32, 3, 3)
    made.norm("features.0.1", 32)
    rows = [
        (1, 0, 32, 16, 1, 3),
        (2, 0, 16, 24, 6, 3),
        (2, 1, 24, 24, 6, 3),
        (3, 0, 24, 40, 6, 5),
        (3, 1, 40, 40, 6, 5),
    ]
    for stage, repeat, into, out, expansion, kernel in rows:
        block, inner = f"features.{stage}.{repeat}.block", into * expansion
        place = 0
        if expansion > 1:
            made.conv(f"{block}.0.0", inner, into, 1)
            made.norm(f"{block}.0.1", inner)
            place = 1
        made.conv(f"{block}.{place}.0", inner, 1, kernel)
        made.norm(f"{block}.{place}.1", inner)
        made.conv(f"{block}.{place + 1}.fc1", into // 4, inner, 1, bias=True)
        made.conv(f"{block}.{place + 1}.fc2", inner, into // 4, 1, bias=True)
        made.conv(f"{block}.{place + 2}.0", out, inner, 1)
        made.norm(f"{block}.{place + 2}.1", out)
    return made.state


def made_densenet_state() -> dict[str, Tensor]:
    """Dense blocks 1 and 2, from the paper's table."""
    made = MadeState()
    made.conv("features.conv0", 64, 3, 7)
    made.norm("features.norm0", 64)
    channels = 64
    for number, layers in ((1, 6), (2, 12)):
        if number > 1:
            made.norm("features.transition1.norm", channels)
            made.conv("features.transition1.conv", channels // 2, channels, 1)
            channels //= 2
        for layer in range(1, layers + 1):
            name = f"features.denseblock{number}.denselayer{layer}"
            made.norm(f"{name}.norm1", channels)
            made.conv(f"{name}.conv1", 128, channels, 1)
            made.norm(f"{name}.norm2", 128)
            made.conv(f"{name}.conv2", 32, 128, 3)
            channels += 32
    return made.state
