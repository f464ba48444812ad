"""Whether parts come to lie elsewhere than the good ones did: the camera was knocked, or the fixture is worn.

A running mean over about MEMORY parts is compared with the good parts' own mean. It warns before parts are refused.
"""

from __future__ import annotations

from edge_runtime.imaging.view import UsualPose
from edge_runtime.records import PartPlace

MEMORY = 50  # parts
LEAST_PIXELS, LEAST_DEGREES = 2.0, 1.0  # less is no warning, however little good parts vary
SPREADS = 1.0  # of the good parts: as far as that, and the least, the mean may move


class PartDrift:
    """usual: None for a view that does not look for the part; then there is never a warning."""

    def __init__(self, usual: UsualPose | None) -> None:
        self._usual = usual
        self._parts = 0
        self._x = self._y = self._turn = 0.0  # means of what parts are off by

    def add(self, place: PartPlace) -> None:
        """A part was found there."""
        usual = self._usual
        if usual is None:
            return
        self._parts += 1
        share = 1 / min(self._parts, MEMORY)
        self._x += share * (place.x - usual.x - self._x)
        self._y += share * (place.y - usual.y - self._y)
        if usual.degrees is not None:
            self._turn += share * ((place.degrees - usual.degrees + 180) % 360 - 180 - self._turn)

    @property
    def pixels(self) -> float | None:
        """How far the parts' mean place is from the good parts'; None before MEMORY parts, and without a view."""
        return None if self._usual is None or self._parts < MEMORY else float((self._x**2 + self._y**2) ** 0.5)

    @property
    def warning(self) -> str:
        """What moved, for people, in ASCII; empty for nothing."""
        usual, pixels = self._usual, self.pixels
        if usual is None or pixels is None:
            return ""
        spread = (usual.x_spread**2 + usual.y_spread**2) ** 0.5
        if pixels > max(LEAST_PIXELS, SPREADS * spread):
            return f"parts lie {pixels:.0f} px off: was the camera or fixture moved?"
        if usual.degrees_spread is not None and abs(self._turn) > max(LEAST_DEGREES, SPREADS * usual.degrees_spread):
            return f"parts lie {self._turn:.1f} degrees off: was the camera or fixture moved?"
        return ""
