"""The size of a model's input as people write it: `320`, or `512x192` for height and width."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """In pixels."""

    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Raises ValueError for anything but N and HxW."""
        found = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
        if found is None:
            raise ValueError(f"{text!r} is no size: 320, or 512x192 for height x width")
        return cls(int(found[1]), int(found[2] or found[1]))

    def __str__(self) -> str:
        return str(self.height) if self.height == self.width else f"{self.height}x{self.width}"
