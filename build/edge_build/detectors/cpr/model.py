"""CPR as one module: a prepared picture in, score and anomaly map out, references as buffers.

Source: Li et al. 2024, "Target before Shooting: Accurate Anomaly Detection and Localization under One Millisecond via
Cascade Patch Retrieval". A picture is compared with few good ones: block histograms of coarse codes find the ten
references that are most alike (global branch), then each cell is compared with the same place in these, within reach
(local branch). What the background shows counts for nothing (foreground branch).

The published implementation looks references up by file name; here retrieval is a part of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_build.detectors.backbones.backbone import Backbone
from edge_build.detectors.cpr.foreground import Foreground
from edge_build.detectors.cpr.matching import Match
from edge_build.detectors.protocol import Detector, Example
from edge_build.detectors.upsampling import smooth_upsampling

STRIDES = (4, 8)  # of the maps that the local branch describes, fine and coarse
DIMENSIONS = {"cpr-faster": 16, "cpr-fast": 64, "cpr": 384}  # of a cell's descriptor
REFERENCES = 10
BLOCKS = 5  # along each axis
DROPPED_BLOCKS = 5  # tau: where a defect may be
SCORED_PIXELS = 64  # 512 in the paper: smaller defects than in its pictures (docs/decisions/0006)
FINE_REACH = 1  # cells; the coarse map is compared in place
TINY = 1e-8
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


class GlobalBranch(nn.Module):
    """Which references look most like a picture, robustly: by histograms of codes in 5x5 blocks.

    codebook: (codes, C) centres. references: fine maps (n, C, h, w) of the good pictures, in batches.
    """

    codebook: Tensor
    offsets: Tensor
    numbers: Tensor
    rows: Tensor
    columns: Tensor
    log_references: Tensor

    def __init__(self, codebook: Tensor, references: list[Tensor]) -> None:
        super().__init__()
        height, width = references[0].shape[2:]
        self.register_buffer("codebook", -2 * codebook)
        self.register_buffer("offsets", codebook.square().sum(1)[:, None])
        self.register_buffer("numbers", torch.arange(len(codebook))[:, None])
        self.register_buffer("rows", block_means(height))
        self.register_buffer("columns", block_means(width).T.contiguous())
        histograms = torch.cat([torch.stack([self.histogram(m[None].float()) for m in part]) for part in references])
        self.register_buffer("log_references", (histograms + TINY).log().permute(1, 2, 0).contiguous())
        self.count = min(REFERENCES, len(histograms))

    @property
    def histograms(self) -> Tensor:
        """Of the references, (n, BLOCKS * BLOCKS, codes)."""
        return (self.log_references.exp() - TINY).clamp(min=0).permute(2, 0, 1)

    @property
    def references(self) -> int:
        """How many there are."""
        return self.log_references.shape[2]

    def histogram(self, fine: Tensor) -> Tensor:
        """(1, C, h, w) -> shares of the codes in every block, (BLOCKS * BLOCKS, codes)."""
        nearest = (self.codebook @ fine[0].flatten(1) + self.offsets).argmin(0, keepdim=True)
        chosen = (nearest == self.numbers).float().view(-1, *fine.shape[2:])
        return (self.rows @ chosen @ self.columns).flatten(1).T

    def divergences(self, fine: Tensor) -> Tensor:
        """(1, C, h, w) -> KL(picture || reference) of every reference (n,), without each one's worst blocks."""
        own = self.histogram(fine)
        entropy = (own * (own + TINY).log()).sum(1)
        cross = (own[:, None] @ self.log_references)[:, 0]  # (blocks, n)
        blocks = (entropy[:, None] - cross).T
        return blocks.sum(1) - blocks.topk(DROPPED_BLOCKS, 1).values.sum(1)

    def forward(self, fine: Tensor) -> Tensor:
        """(1, C, h, w) -> row numbers of the nearest references (k,)."""
        return self.divergences(fine).topk(self.count, largest=False).indices

    def others(self, fine: Tensor, itself: int) -> Tensor:
        """`forward` for a picture that is a reference itself, without it: (k,), or one less where there are few."""
        far = self.divergences(fine)
        far[itself] = torch.inf
        return far.topk(min(self.count, len(far) - 1), largest=False).indices


class Cpr(Detector):
    """The whole detector of one picture.

    matches: one for each tap of the backbone, the finest first. foreground: where the part is, and of each reference
    (n, h, w) float16; None for a texture. size: (H, W) of the prepared picture.
    """

    foreground_bank: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(
        self,
        backbone: Backbone,
        retrieval: GlobalBranch,
        matches: Sequence[Match],
        foreground: tuple[Foreground, Tensor] | None,
        size: tuple[int, int],
        notes: tuple[str, ...],
        examples: tuple[Example, ...] = (),
    ) -> None:
        super().__init__()
        self.backbone, self.retrieval = backbone, retrieval
        self.notes, self.examples = notes, examples
        self.matches = nn.ModuleList(matches)
        self.foreground = None if foreground is None else foreground[0]
        if foreground is not None:
            self.register_buffer("foreground_bank", foreground[1])
        self.entries, self.dimensions = matches[0].bank.shape[0], matches[0].bank.shape[1] - 1
        self.register_buffer("rows", smooth_upsampling(matches[0].bank.shape[2], size[0]))
        self.register_buffer("columns", smooth_upsampling(matches[0].bank.shape[3], size[1]).T.contiguous())
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 BGR (1, H, W, 3) -> score (1,), anomaly map (1, H, W), both in sums of scaled cosine distances."""
        maps = self.backbone(image)
        nearest = self.retrieval(maps[0])
        cells = combined([match(m, nearest) for match, m in zip(self.matches, maps, strict=True)])
        if self.foreground is not None:
            cells = cells * torch.maximum(self.foreground(maps[0])[0], self.foreground_bank[nearest].float().amax(0))
        anomaly_map = self.rows @ cells @ self.columns
        return score_of(anomaly_map), anomaly_map[None]


def combined(distances: Sequence[Tensor]) -> Tensor:
    """All taps' distances (h, w), the finest first, at its resolution.

    Those of the two that are trained are summed. Surroundings that differ, too, make more of that: it is multiplied by
    the square root of each coarser tap's distance (docs/decisions/0006).
    """
    fine, *coarser = distances
    resized = [
        F.interpolate(cells[None, None], fine.shape, mode="bilinear", align_corners=False)[0, 0] for cells in coarser
    ]
    total = fine + resized[0]
    for around in resized[len(STRIDES) - 1 :]:
        total = total * torch.sqrt(torch.clamp(around, min=0))
    return total


def score_of(anomaly_map: Tensor) -> Tensor:
    """The mean of the largest pixels of a map (H, W), (1,)."""
    pixels = anomaly_map.flatten()
    return pixels.topk(min(SCORED_PIXELS, len(pixels))).values.mean(0, keepdim=True)


def block_means(cells: int) -> Tensor:
    """The matrix (BLOCKS, cells) that averages over equal blocks; a cell on a border counts in shares for both."""
    edges = torch.arange(BLOCKS + 1, dtype=torch.float64) * cells / BLOCKS
    cell = torch.arange(cells, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], cell + 1) - torch.maximum(edges[:-1, None], cell)
    return (overlap.clamp(min=0) * BLOCKS / cells).float()
