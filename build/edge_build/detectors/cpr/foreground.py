"""Where the part is (CPR's foreground branch), and whether there is a part before a background at all.

What lies in a ring along the picture's border and looks alike is background; what lies in the middle and looks
different is the part. A linear discriminant of the two becomes one 1x1 convolution.

    foreground, why = find_foreground(maps, "auto", seed)
    if foreground is not None:
        shares = foreground(maps)  # (n, h, w) in 0..1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor, nn
from torch.nn import functional as F

from edge_runtime.errors import ConfigError

RING, MIDDLE = 3 / 80, 1 / 5  # shares of the height and width
MOST_VECTORS, MOST_OF_A_CLASS = 50_000, 15_000
FEWEST_OF_A_CLASS = 100
# What a background must look like for `auto`, on pictures that the foreground was not fitted to.
LEAST_AGREEMENT = 0.8  # of two halves of the pictures about where the part is (intersection over union)
LEAST_RING = 0.8  # share of the border that is background: a part may run through one side
FADES = 0.14  # from a limit on, what is missing takes trust away, until there is none
LEAST_MIDDLE = 0.05  # share of the middle that is foreground: thin parts fill little of it
# Share of all cells that are not near the line between both. Where a part fills the picture, edges and faces are
# separated, and most cells are in between: 0.33 were clear there, against 0.75 and 0.84 of parts before a background.
LEAST_DECIDED = 0.6


class Foreground(nn.Module):
    """A share of foreground for every cell: one 1x1 convolution, clamped to 0..1."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, trust: float = 1.0) -> None:
        """weight: (C,). bias: (1,). trust: 0 to 1; background counts for 1 - trust of what the part does."""
        super().__init__()
        self.trust = trust
        self.register_buffer("weight", weight[None, :, None, None])
        self.register_buffer("bias", bias)

    def forward(self, maps: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, h, w)."""
        share = F.conv2d(maps, self.weight, self.bias).clamp(0, 1)[:, 0]
        return share if self.trust == 1 else 1 - self.trust + self.trust * share

    def trusted(self, trust: float) -> Foreground:
        """The same with another trust."""
        return Foreground(self.weight[0, :, 0, 0], self.bias, trust)


class PlacedForeground(nn.Module):
    """Where the part is by the view: the same cells in every picture."""

    share: Tensor

    def __init__(self, part: NDArray[np.float32], cells: tuple[int, int]) -> None:
        """part: where it is in the model's picture, 0 to 1, (H, W). cells: height and width of the fine maps."""
        super().__init__()
        share = F.interpolate(torch.from_numpy(part)[None, None], cells, mode="area")
        self.register_buffer("share", share[0])

    def forward(self, maps: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, h, w)."""
        return self.share.expand(len(maps), -1, -1)


AnyForeground = Foreground | PlacedForeground


def find_foreground(
    maps: Tensor, kind: Literal["auto", "object", "texture"], seed: int
) -> tuple[Foreground | None, str]:
    """The foreground of good pictures' fine maps (n, C, h, w), or None for a texture; and why.

    Raises ConfigError for `object` when middle and border of the pictures look alike.
    """
    if kind == "texture":
        return None, "kind: texture: no foreground is separated"
    whole = _fitted(maps, seed)
    if kind == "object":
        if whole is None:
            raise ConfigError(
                "cpr.kind is object, but the middle of the pictures looks like their border: there is no background "
                "to separate. Set kind to texture or auto"
            )
        return whole, "kind: object, as the recipe says: what looks like the pictures' border counts for nothing"
    halves = (maps[::2].float(), maps[1::2].float())
    first, second = (_fitted(half, seed) for half in halves)
    if whole is None or first is None or second is None:
        return None, "kind: texture, because the middle of the pictures looks like their border"
    other = torch.cat([second(halves[0]), first(halves[1])])  # each half by the foreground that has not seen it
    own = torch.cat([first(halves[0]), second(halves[1])])
    agreement = float(((other > 0.5) & (own > 0.5)).sum() / ((other > 0.5) | (own > 0.5)).sum().clamp(min=1))
    ring, middle = _ring(*maps.shape[2:]), _middle(*maps.shape[2:])
    filled = float((other[:, middle] > 0.5).float().mean())
    clear = float((other[:, ring] < 0.5).float().mean())
    decided = float(((other - 0.5).abs() > 0.25).float().mean())
    checks = (
        Check("two halves of the pictures agree about where the part is", agreement, LEAST_AGREEMENT),
        Check("the border is background", clear, LEAST_RING),
        Check("the middle is foreground", filled, LEAST_MIDDLE),
        Check("cells are clearly one or the other", decided, LEAST_DECIDED),
    )
    trust = min(check.trust for check in checks)
    return (whole.trusted(trust) if trust > 0 else None), reason(checks)


@dataclass(frozen=True)
class Check:
    """What a background must fulfil: a share found, and the least that is asked for."""

    what: str
    found: float
    least: float

    @property
    def passed(self) -> bool:
        """Whether it is fulfilled."""
        return self.found >= self.least

    @property
    def trust(self) -> float:
        """1 where it is fulfilled, and less the more is missing, down to 0."""
        return min(1.0, max(0.0, 1 - (self.least - self.found) / min(FADES, self.least)))

    def __str__(self) -> str:
        return f"{self.what} to {100 * self.found:.1f} % ({100 * self.least:.0f} % asked for)"


def reason(checks: Sequence[Check]) -> str:
    """What was decided by the checks and why."""
    trust = min(check.trust for check in checks)
    failed = "; ".join(str(check) for check in checks if not check.passed)
    if trust == 1:
        return f"kind: object, because {'; '.join(map(str, checks))}"
    if trust > 0:
        return (
            f"kind: object, but what looks like background counts for {1 - trust:.0%}, because not all speaks for a "
            f"part before a background: {failed}"
        )
    return f"kind: texture, because too little speaks for a part before a background: {failed}"


def _fitted(maps: Tensor, seed: int) -> Foreground | None:
    """None where a class has too few cells, or no direction separates the two."""
    random = np.random.default_rng(seed)
    ring, middle = _ring(*maps.shape[2:]), _middle(*maps.shape[2:])
    cells = maps.permute(0, 2, 3, 1)
    vectors = _some(cells.reshape(-1, maps.shape[1]), MOST_VECTORS, random)
    if (vectors == vectors[0]).all():
        return None
    clusters = KMeans(2, n_init=10, random_state=seed).fit(vectors)
    in_ring = _some(cells[:, ring].reshape(-1, maps.shape[1]), MOST_VECTORS, random)
    in_middle = _some(cells[:, middle].reshape(-1, maps.shape[1]), MOST_VECTORS, random)
    labels = clusters.predict(in_ring)
    background = int(np.bincount(labels, minlength=2).argmax())
    negatives, positives = in_ring[labels == background], in_middle[clusters.predict(in_middle) != background]
    count = min(len(negatives), len(positives), MOST_OF_A_CLASS)
    if count < FEWEST_OF_A_CLASS:
        return None
    both = np.concatenate([negatives[:count], positives[:count]])
    line = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-3).fit(both, np.repeat([0, 1], count))
    low, high = np.percentile(line.decision_function(vectors), [1, 99])
    scale = 1 / max(high - low, 1e-6)
    weight = torch.from_numpy(line.coef_[0] * scale).float()
    return Foreground(weight, torch.from_numpy((line.intercept_ - low) * scale).float())


def _some(vectors: Tensor, most: int, random: np.random.Generator) -> NDArray[np.float32]:
    """At most so many rows, in random order."""
    chosen = random.permutation(len(vectors))[:most]
    return np.asarray(vectors[torch.from_numpy(chosen)].float().numpy())


def _ring(height: int, width: int) -> Tensor:
    """True along the border (h, w)."""
    ring = torch.ones(height, width, dtype=torch.bool)
    y, x = max(1, round(RING * height)), max(1, round(RING * width))
    ring[y:-y, x:-x] = False
    return ring


def _middle(height: int, width: int) -> Tensor:
    """True in the central box (h, w)."""
    middle = torch.zeros(height, width, dtype=torch.bool)
    y, x = round(MIDDLE * height), round(MIDDLE * width)
    middle[height // 2 - y : height // 2 + y, width // 2 - x : width // 2 + x] = True
    return middle
