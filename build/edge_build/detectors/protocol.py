"""What the builder knows of a detector: something learns it from good pictures, and it becomes one graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_JUDGED = 0.5  # share of a cell: one of which more is ignored counts for nothing


@dataclass(frozen=True)
class Example:
    """A picture with a made-up defect that was learned from, uint8 BGR (H, W, 3), and where it is, bool (H, W).

    real: the defect was taken from a picture of a real one.
    """

    picture: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    real: bool = False


class Detector(nn.Module):
    """One prepared picture in (uint8 BGR (1, H, W, 3)), score (1,) and anomaly map (1, H, W) out.

    entries: what it remembers, patches or pictures. dimensions: of each. grid: height and width of its cells. notes:
    what a user should know about what was decided while it learned. examples: some of the defects that it learned from,
    if any.
    """

    entries: int
    dimensions: int
    grid: tuple[int, int]
    notes: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    judged_cells: Tensor | None
    judged_pixels: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("judged_cells", None)
        self.register_buffer("judged_pixels", None)

    def ignore(self, ignored: NDArray[np.bool_]) -> None:
        """Judge nothing where `ignored`, (H, W), is true."""
        judged = torch.from_numpy(~ignored).float()
        self.judged_pixels = judged
        self.judged_cells = (F.interpolate(judged[None, None], self.grid, mode="area")[0, 0] >= LEAST_JUDGED).float()

    def cells_judged(self, cells: Tensor) -> Tensor:
        """Cells (h, w) without those that are ignored."""
        return cells if self.judged_cells is None else cells * self.judged_cells

    def map_judged(self, anomaly_map: Tensor) -> Tensor:
        """A map (H, W) without what is ignored."""
        return anomaly_map if self.judged_pixels is None else anomaly_map * self.judged_pixels


class Learner(Protocol):
    """Holds the good pictures, and learns from any part of them.

    compares: whether it can know pictures that it did not learn from, by comparing with them.
    """

    compares: bool

    def learn(self, chosen: Sequence[int], known: Sequence[int] = ()) -> Detector:
        """A detector that learned from the chosen pictures (row numbers), knows those `known` besides, and no others.

        `known` is empty for a learner that does not compare.
        """
