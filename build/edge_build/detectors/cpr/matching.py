"""How far each cell of a picture is from the same place of its nearest references: the matching of CPR.

Source: Li et al. 2024, section 3.3, "Target before Shooting". Beyond the paper, a distance counts less where good
pictures differ among themselves (docs/decisions/0006): every cell of every reference has a scale. The bank holds its
descriptor times the scale, and the scale, so that the scaled distance is one product and one difference.

    match = Match(branch.folded(), bank_of(descriptors, others, reach=1), reach=1)
    cells = match(maps, nearest)  # (1, C, h, w) and row numbers -> (h, w)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FARTHEST = 2.0  # 1 - cosine where there is no cell
FINE_REACH = 1  # cells, on the fine map; the coarse one is compared in place
LEANING = 4.0  # overall spreads that every cell's own spread leans on


class Match(nn.Module):
    """One tap of the detector.

    describe: maps (n, C, h, w) -> descriptors of unit length (n, d, h, w). bank: of the references, (n, d + 1, h, w).
    reach: how many cells around the same place are looked at, along each axis.
    """

    bank: Tensor

    def __init__(self, describe: nn.Module, bank: Tensor, reach: int) -> None:
        super().__init__()
        self.describe, self.reach = describe, reach
        self.register_buffer("bank", bank)

    def forward(self, maps: Tensor, nearest: Tensor) -> Tensor:
        """Maps (1, C, h, w) and the references' rows (k,) -> scaled distances (h, w)."""
        return distances(self.describe(maps)[0], self.bank[nearest].float(), self.reach)


class Direction(nn.Module):
    """Features as they are, at unit length: what describes cells where nothing was trained."""

    def forward(self, maps: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C, h, w)."""
        return F.normalize(maps, dim=1)


def distances(cells: Tensor, references: Tensor, reach: int) -> Tensor:
    """Scaled 1 - cosine of each cell to the nearest of all references' cells within reach, (h, w).

    cells: (d, h, w) of unit length. references: (k, d + 1, h, w) as `scaled` makes them. It is the few query cells that
    are shifted, and the minima that are shifted back: the references are read in place.
    """
    height, width = cells.shape[1:]
    directions, scales = references[:, :-1], references[:, -1]
    if reach == 0:
        return (scales - (directions * cells).sum(1)).amin(0)
    padded = F.pad(cells, (reach,) * 4)
    nearest = None
    for y in range(2 * reach + 1):
        for x in range(2 * reach + 1):
            found = (scales - (directions * padded[:, y : y + height, x : x + width]).sum(1)).amin(0)
            outside = F.pad(found, (reach,) * 4, value=FARTHEST)
            here = outside[2 * reach - y : 2 * reach - y + height, 2 * reach - x : 2 * reach - x + width]
            nearest = here if nearest is None else torch.minimum(nearest, here)
    assert nearest is not None
    return nearest


def scaled(descriptors: Tensor, scales: Tensor) -> Tensor:
    """Descriptors (n, d, h, w) times their scales (n, h, w), and the scales as one channel more, in float16."""
    return torch.cat([descriptors.float() * scales[:, None], scales[:, None]], 1).half()


def plain(descriptors: Tensor) -> Tensor:
    """A bank (n, d + 1, h, w) of unscaled distances."""
    return scaled(descriptors, torch.ones(descriptors.shape[0], *descriptors.shape[2:], device="cpu"))


def bank_of(descriptors: Tensor, others: Tensor, reach: int, mean: float | None = None) -> Tensor:
    """The bank (n, d + 1, h, w) of references with descriptors (n, d, h, w), float16.

    others: rows (n, k) of each one's own nearest references, without itself; none at all leave distances as they are.
    A cell's spread is its distance to them. Its scale is (1 + LEANING) / (spread / overall + LEANING): 1 where a cell
    spreads like all, less where good pictures differ more. mean: what distances are multiplied by beyond that, so that
    the mean spread becomes this; None leaves them in units of 1 - cosine.
    """
    if others.shape[1] == 0:
        return plain(descriptors)
    count, dimensions, *size = descriptors.shape
    spreads = torch.empty(count, *size, device="cpu")
    bank = torch.empty(count, dimensions + 1, *size, dtype=torch.float16, device="cpu")
    for row, rows in enumerate(others):
        spreads[row] = distances(descriptors[row].float(), plain(descriptors[rows]).float(), reach)
    overall = spreads.mean().clamp(min=1e-6)
    scales = (1 + LEANING) / (spreads / overall + LEANING) * (1 if mean is None else mean / overall)
    for row in range(len(bank)):
        bank[row] = scaled(descriptors[row][None], scales[row][None])[0]
    return bank
