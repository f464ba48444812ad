"""The size of a model's input as people write it: `320`, or `512x192` for height and width."""

from __future__ import annotations

import re
from dataclasses import dataclass

SIDE_STEP, SIDE_MIN, SIDE_MAX = 32, 64, 2048


def side_fits(side: int) -> bool:
    """Whether a model's input can have that height or width."""
    return SIDE_MIN <= side <= SIDE_MAX and side % SIDE_STEP == 0


def side_that_fits(wanted: float) -> int:
    """The nearest side that a model's input can have."""
    return min(max(round(wanted / SIDE_STEP) * SIDE_STEP, SIDE_MIN), SIDE_MAX)


def size_text(height: int, width: int) -> str:
    """A size in words that nobody can take the wrong way round: `320 x 320`, or `160 high, 512 wide`."""
    return f"{height} x {width}" if height == width else f"{height} high, {width} wide"


@dataclass(frozen=True)
class Size:
    """In pixels."""

    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Raises ValueError for anything but N and HxW, and for what no model can have."""
        found = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
        if found is None:
            raise ValueError(f"{text!r} is no size: 320, or 512x192 for height x width")
        size = cls(int(found[1]), int(found[2] or found[1]))
        if not (side_fits(size.height) and side_fits(size.width)):
            raise ValueError(f"{text!r} does not fit: sides are multiples of {SIDE_STEP}, {SIDE_MIN} to {SIDE_MAX}")
        return size

    def __str__(self) -> str:
        return str(self.height) if self.height == self.width else f"{self.height}x{self.width}"
