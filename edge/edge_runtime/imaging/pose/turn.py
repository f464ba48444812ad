"""Any part with structure: the angles at which it looks most like its template, from circles around its middle.

A template in polar coordinates, once for each of ANGLES turns, times the frame in polar coordinates is the correlation
at all angles; of whole numbers, and so the same on any machine.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.imaging.geometry import Placement
from edge_runtime.imaging.pyramid import FRACTION, Pyramid, nearest_level, to_level
from edge_runtime.imaging.view import Template

ANGLES, RADII = 96, 16
INNERMOST = 0.15  # of the outermost radius: nearer circles tell no angle
MOST_PEAKS = 3
UNIT = [(math.cos(2 * math.pi * n / ANGLES), math.sin(2 * math.pi * n / ANGLES)) for n in range(ANGLES)]


class TurnFinder:
    """For templates whose origin is their middle."""

    def __init__(self, template: Template, outermost: float) -> None:
        """outermost: radius in pixels of the frame."""
        self._outermost = outermost
        height, width = template.picture.shape
        middle = Placement((width - 1) / 2, (height - 1) / 2)
        rings = _polar(template.picture, middle, outermost * template.scale).astype(np.int64)
        weights = _polar(template.weights, middle, outermost * template.scale).astype(np.int64) >> 4
        area = np.arange(1, RADII + 1)[None]  # outer circles have more pixels
        weights *= area
        mean = (rings * weights).sum(0) // np.maximum(weights.sum(0), 1)  # a circle's own brightness tells no angle
        pattern = ((rings - mean) * weights).astype(np.float64)
        self._turned = np.stack([np.roll(pattern, turn, axis=0).ravel() for turn in range(ANGLES)])

    def candidates(self, pyramid: Pyramid, middle: Placement) -> tuple[Placement, ...]:
        """The most likely angles around a middle (in pixels of the frame), the likeliest first."""
        step = self._outermost / RADII / 1.5
        number = pyramid.depth(nearest_level(np.array([[step, 0, 0], [0, step, 0]])))
        x, y = (to_level(middle.matrix(), number) @ np.array([0.0, 0.0, 1.0])).tolist()
        seen = _polar(pyramid.grey(number), Placement(x, y), self._outermost / (1 << number))
        likeness = np.einsum("ij,j->i", self._turned, seen.ravel().astype(np.float64))  # as in alignment.py
        peaks = (likeness >= np.roll(likeness, 1)) & (likeness > np.roll(likeness, -1))
        order = [n for n in np.argsort(-likeness, kind="stable").tolist() if peaks[n]][:MOST_PEAKS]
        return tuple(Placement(middle.x, middle.y, *UNIT[n]) for n in order)


def _polar(image: NDArray[np.uint8], middle: Placement, outermost: float) -> NDArray[np.uint8]:
    """Circles around a middle as columns: uint8 (ANGLES, RADII)."""
    inner = INNERMOST * outermost
    radii = np.linspace(inner, outermost, RADII)
    unit = np.array(UNIT)
    x = np.rint((middle.x + unit[:, :1] * radii) * (1 << FRACTION)).astype(np.int32)
    y = np.rint((middle.y + unit[:, 1:] * radii) * (1 << FRACTION)).astype(np.int32)
    mask = (1 << FRACTION) - 1
    places = np.stack([x >> FRACTION, y >> FRACTION], axis=2).astype(np.int16)
    weights = ((y & mask) << FRACTION | (x & mask)).astype(np.uint16)
    return np.asarray(cv2.remap(image, places, weights, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
