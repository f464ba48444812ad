"""CPR's local branch: what describes each cell of a feature map, so that good cells of the same place are alike.

Source: Li et al. 2024, "Target before Shooting" (model.py). It is trained (training.py) on 3x3 cells, and
computes on whole maps afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPS = 1e-3


class LocalBranch(nn.Module):
    """A descriptor of unit length for every cell, from the cell and its neighbours.

    The paper's inception, with its two branches of equal shape as one. width: channels of the first convolution, a
    multiple of 12; the paper's is 192. dimensions: of the descriptor.
    """

    def __init__(self, channels: int, width: int, dimensions: int) -> None:
        super().__init__()
        branch, inner = width // 3, width // 4
        self.entry = _ConvNorm(channels, width, 1, bias=True)
        self.plain = _ConvNorm(width, 2 * branch, 1)
        self.squeeze = _ConvNorm(width, inner, 1)
        self.around = _ConvNorm(inner, branch, 3)
        self.pooled = _ConvNorm(width, branch, 1, pool=True)
        self.exit = nn.Conv2d(4 * branch, dimensions, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, d, h, w)."""
        x = self.entry(maps)
        return self._joined(x, x, padding=1)

    def at_centres(self, neighbourhoods: Tensor) -> Tensor:
        """(n, C, 3, 3) -> (n, d): `forward` at the middle of each 3x3 cells."""
        x = self.entry(neighbourhoods)
        return self._joined(x, x[:, :, 1:2, 1:2], padding=0).flatten(1)

    def folded(self) -> LocalBranch:
        """A copy in evaluation mode whose batch norms are part of its convolutions."""
        width, channels = self.entry.conv.weight.shape[:2]
        copy = LocalBranch(channels, width, self.exit.out_channels)
        copy.load_state_dict(self.state_dict())
        for part in copy.children():
            if isinstance(part, _ConvNorm):
                part.fold()
        return copy.eval().requires_grad_(False)

    def _joined(self, x: Tensor, centres: Tensor, padding: int) -> Tensor:
        around = self.around(self.squeeze(x), padding)
        joined = torch.cat([self.plain(centres), around, self.pooled(x, padding)], 1)
        return F.normalize(self.exit(joined), dim=1)


class _ConvNorm(nn.Module):
    """Convolution, mean over 3x3 cells if asked for, batch norm, ReLU.

    The paper averages before it convolves; both are linear, and fewer channels are left after the convolution.
    """

    def __init__(self, channels: int, out: int, kernel: int, bias: bool = False, pool: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, bias=bias)
        self.norm: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(out, NORM_EPS)
        self.pool = pool

    def forward(self, x: Tensor, padding: int = 0) -> Tensor:
        wide = self.conv.kernel_size[0] > 1
        y = F.conv2d(x, self.conv.weight, self.conv.bias, padding=padding if wide else 0)
        if self.pool:
            y = F.avg_pool2d(y, 3, 1, padding, count_include_pad=False)
        return F.relu(self.norm(y))

    def fold(self) -> None:
        """Move the norm into the convolution. A mean over cells keeps a bias, so it may stand in between."""
        assert isinstance(self.norm, nn.BatchNorm2d)
        self.conv = nn.utils.fusion.fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())
        self.norm = nn.Identity()
