"""CPR's global branch: which of the good pictures look most like a picture, as a part of the graph.

Source: Li et al. 2024, "Target before Shooting" (model.py). Every cell of the fine map gets the code of the nearest
centre of a codebook; pictures are compared by the histograms of codes in 5x5 blocks, without the blocks that differ
most, where a defect may be.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

REFERENCES = 10
BLOCKS = 5  # along each axis
DROPPED_BLOCKS = 5  # tau: where a defect may be
TINY = 1e-8


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


def block_means(cells: int) -> Tensor:
    """The matrix (BLOCKS, cells) that averages over equal blocks; a cell on a border counts in shares for both."""
    edges = torch.arange(BLOCKS + 1, dtype=torch.float64) * cells / BLOCKS
    cell = torch.arange(cells, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], cell + 1) - torch.maximum(edges[:-1, None], cell)
    return (overlap.clamp(min=0) * BLOCKS / cells).float()
