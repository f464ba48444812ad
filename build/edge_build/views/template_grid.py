"""Templates of a part: the mean of pictures that are laid on one another, and how much each pixel of it counts.

grid = TemplateGrid.of((120.0, 40.0), longest=96)
template = grid.template(samples, placements, what)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.views.outstanding import Outstanding, thing_mask
from edge_build.views.samples import Sample
from edge_runtime.imaging.geometry import Matrix, Placement, joined
from edge_runtime.imaging.pyramid import sampled
from edge_runtime.imaging.view import Template

UNSURE = 8.0  # grey values: a template's pixel that varies so much counts half
LEAST_WEIGHT = 0.2  # what varies still distinguishes one part from another


@dataclass(frozen=True)
class TemplateGrid:
    """A template's pixels over the part: its middle is the part's origin."""

    height: int
    width: int
    scale: float

    @staticmethod
    def of(half: tuple[float, float], longest: int) -> TemplateGrid:
        """half: how far the template reaches from the origin along the part's axes."""
        scale = longest / (2 * max(half))
        return TemplateGrid(max(8, round(2 * half[1] * scale)), max(8, round(2 * half[0] * scale)), scale)

    def matrix(self) -> Matrix:
        """From its pixels to the part's coordinates."""
        x, y = -(self.width - 1) / 2 / self.scale, -(self.height - 1) / 2 / self.scale
        return np.array([[1 / self.scale, 0.0, x], [0.0, 1 / self.scale, y]])

    def template(
        self, samples: Sequence[Sample], placements: Sequence[Placement], what: Outstanding | None
    ) -> Template:
        """The mean of the samples at their places, and how much each pixel counts: near the part, where they agree."""
        stack = np.stack(
            [
                s.pyramid.grey_sampled(joined(p.matrix(), self.matrix()), self.height, self.width)
                for s, p in zip(samples, placements, strict=True)
            ]
        ).astype(np.float32)
        gains = stack - stack.mean((1, 2), keepdims=True)
        deviation = gains.std((1, 2), keepdims=True).clip(1)
        level = gains / deviation * deviation.mean()
        sure = 1 / (1 + (level.std(0) / UNSURE) ** 2)
        weights = 255 * np.clip(sure, LEAST_WEIGHT, 1)
        if what is not None:
            near = (self.mask(samples, placements, what) > 0).astype(np.uint8)
            weights = weights * np.asarray(cv2.dilate(near, around_part(self.height, self.width)))
        mean = level.mean(0) + stack.mean()
        return Template(np.clip(np.rint(mean), 0, 255).astype(np.uint8), np.rint(weights).astype(np.uint8), self.scale)

    def mask(
        self, samples: Sequence[Sample], placements: Sequence[Placement], what: Outstanding
    ) -> NDArray[np.float32]:
        """The share of the parts that reach there."""
        masks = {id(seen.sample): thing_mask(seen) for seen in what.seen}
        total, count = np.zeros((self.height, self.width), np.float32), 0
        for sample, placement in zip(samples, placements, strict=True):
            if id(sample) in masks:
                matrix = joined(placement.matrix(), self.matrix())
                total += sampled(masks[id(sample)], matrix, self.height, self.width).astype(np.float32) / 255
                count += 1
        return np.asarray(total / max(count, 1), np.float32)


def around_part(height: int, width: int) -> NDArray[np.uint8]:
    """How far a template of that size counts around the part, as an element of mathematical morphology."""
    reach = max(3, max(height, width) // 12) | 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)), np.uint8)
