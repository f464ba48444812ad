"""What the builder knows of a detector: something learns it from good pictures, and it becomes one graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn


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

    entries: what it remembers, patches or pictures. dimensions: of each. notes: what a user should know about what was
    decided while it learned. examples: some of the defects that it learned from, if any.
    """

    entries: int
    dimensions: int
    notes: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()


class Learner(Protocol):
    """Holds the good pictures, and learns from any part of them.

    compares: whether it can know pictures that it did not learn from, by comparing with them.
    """

    compares: bool

    def learn(self, chosen: Sequence[int], known: Sequence[int] = ()) -> Detector:
        """A detector that learned from the chosen pictures (row numbers), knows those `known` besides, and no others.

        `known` is empty for a learner that does not compare.
        """
