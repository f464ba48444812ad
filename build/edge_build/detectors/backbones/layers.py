"""What a network is made of, whichever it is: convolutions with their batch norms folded in, a stem and stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

IMAGENET_MEAN_BGR, IMAGENET_STD_BGR = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)


@dataclass(frozen=True)
class Network:
    """Layers in order. mean: what is taken off blue, green and red (0..255) before the stem; padding counts as it."""

    mean: tuple[float, float, float]
    stem: nn.Module
    stages: list[nn.Module]


class Conv(nn.Module):
    """A convolution with bias, zero padding and what follows it.

    padding: pixels before (left, top) and after (right, bottom).
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        stride: int,
        padding: tuple[int, int],
        activation: Callable[[Tensor], Tensor] | None,
    ) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
        self.stride, self.activation = stride, activation
        self.depthwise = weight.shape[1] == 1
        self.before, self.after = padding

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, C', H/stride, W/stride); H and W are multiples of the stride."""
        groups = x.shape[1] if self.depthwise else 1
        padding = self.before
        if self.before != self.after:
            x, padding = F.pad(x, (self.before, self.after, self.before, self.after)), 0
        y = F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=groups)
        return y if self.activation is None else self.activation(y)


def same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME, which puts the odd pixel to the right and the bottom."""
    total = kernel - stride
    return total // 2, total - total // 2


def even_padding(kernel: int, stride: int) -> tuple[int, int]:
    """PyTorch's usual: as much before as after, whatever the stride."""
    return kernel // 2, kernel // 2
