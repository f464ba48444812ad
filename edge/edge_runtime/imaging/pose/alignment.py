"""How well a template lies on a frame, and moving it to where it lies best (Baker and Matthews 2004, section 3.2).

All sums over pixels are of whole numbers below 2^53 and so the same in any order and on any machine; what follows from
them are a few operations on doubles.

    aligner = Aligner(template, turns=True)
    fit = aligner.refined(pyramid, placement, steps=4)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edge_runtime.imaging.geometry import Placement, joined
from edge_runtime.imaging.pyramid import Pyramid
from edge_runtime.imaging.view import Template

MOST_WEIGHT = 15  # weights are brought to 0..15: products stay whole and small
LONGEST_STEP = 0.1  # of the template's longer side
WIDEST_STEP = 0.18  # radians
STILL = 0.01  # template pixels: a smaller step is the last one
FLATTEST = 1.0  # grey values, squared: less variance has nothing to be aligned by


@dataclass(frozen=True)
class Fit:
    """A place and the correlation there, -1 to 1."""

    placement: Placement
    quality: float


class Aligner:
    """A template with its gradients. turns: whether the angle may change, too."""

    def __init__(self, template: Template, turns: bool) -> None:
        picture = template.picture.astype(np.int64)
        height, width = picture.shape
        self._shape, self._scale, self._turns = (height, width), template.scale, turns
        weights = (template.weights.astype(np.int64) * MOST_WEIGHT + 127) // 255
        down, across = np.zeros_like(picture), np.zeros_like(picture)  # twice the gradient
        across[:, 1:-1] = picture[:, 2:] - picture[:, :-2]
        down[1:-1] = picture[2:] - picture[:-2]
        y = (2 * np.arange(height) - (height - 1))[:, None]  # twice the distance from the middle
        x = (2 * np.arange(width) - (width - 1))[None]
        turn = x * down - y * across
        rows = [weights, weights * picture, weights * across, weights * down, weights * turn]
        self._sums_of = np.stack([row.ravel() for row in rows]).astype(np.float64)
        self._weights = self._sums_of[0].copy()
        self._total = float(weights.sum())
        self._of_template: list[float] = (self._sums_of @ picture.ravel().astype(np.float64)).tolist()
        columns = [across, down, turn] if turns else [across, down]
        gradients = np.stack([column.ravel() for column in columns]).astype(np.float64)
        of_ones = self._sums_of[2:].sum(1)[: len(columns)]
        squares = (gradients * self._weights) @ gradients.T - np.outer(of_ones, of_ones) / max(self._total, 1.0)
        self._inverse = np.linalg.pinv(squares).tolist()
        self._of_ones = self._sums_of.sum(1).tolist()
        self._variance = self._of_template[1] - self._of_template[0] ** 2 / max(self._total, 1.0)
        self._middle = np.array(
            [
                [1 / self._scale, 0.0, -(width - 1) / 2 / self._scale],
                [0.0, 1 / self._scale, -(height - 1) / 2 / self._scale],
            ]
        )

    def quality(self, pyramid: Pyramid, placement: Placement) -> float:
        """The weighted correlation of template and frame there; 0 where either is flat."""
        return self._measured(pyramid, placement)[0]

    def refined(self, pyramid: Pyramid, placement: Placement, steps: int) -> Fit:
        """The best fit seen on the way downhill from a place."""
        quality, step = self._measured(pyramid, placement)
        best = Fit(placement, quality)
        for _ in range(steps):
            if step is None:
                break
            placement = self._stepped(placement, step)
            size = max(abs(step[0]), abs(step[1]), abs(step[2]) * max(self._shape) / 2)
            quality, step = self._measured(pyramid, placement)
            if quality > best.quality:
                best = Fit(placement, quality)
            if size < STILL or quality < best.quality - 0.05:
                break
        return best

    def _measured(self, pyramid: Pyramid, placement: Placement) -> tuple[float, tuple[float, float, float] | None]:
        """The correlation, and the step in template pixels and radians that should better it; None on flat ground."""
        matrix = joined(placement.matrix(), self._middle)
        seen = pyramid.grey_sampled(matrix, *self._shape).ravel().astype(np.float64)
        sums: list[float] = np.einsum(
            "ij,j->i", self._sums_of, seen
        ).tolist()  # no BLAS: its threads cost more than this
        squares = float(np.einsum("i,i,i->", self._weights, seen, seen))
        variance = squares - sums[0] * sums[0] / max(self._total, 1.0)
        if min(variance, self._variance) < FLATTEST * max(self._total, 1.0):
            return 0.0, None
        mean_template = self._of_template[0] / self._total
        quality = (sums[1] - mean_template * sums[0]) / math.sqrt(variance * self._variance)
        gain = math.sqrt(self._variance / variance)
        mean = sums[0] / self._total
        number = len(self._inverse)
        slopes = [
            gain * (sums[2 + n] - mean * self._of_ones[2 + n])
            - (self._of_template[2 + n] - mean_template * self._of_ones[2 + n])
            for n in range(number)
        ]
        x, y, *turn = (sum(self._inverse[n][k] * slopes[k] for k in range(number)) for n in range(number))
        # gradients are twice too steep, and those of the turn twice more
        return quality, self._bounded(2 * x, 2 * y, 4 * turn[0] if turn else 0.0)

    def _bounded(self, x: float, y: float, turn: float) -> tuple[float, float, float]:
        longest = LONGEST_STEP * max(self._shape)
        share = min(1.0, longest / max(abs(x), abs(y), 1e-9), WIDEST_STEP / max(abs(turn), 1e-9))
        return x * share, y * share, turn * share

    def _stepped(self, placement: Placement, step: tuple[float, float, float]) -> Placement:
        """The step taken back from the frame: what would move the template onto it."""
        x, y, turn = step
        length = math.sqrt(1 + turn * turn)
        back = placement.turned(1 / length, -turn / length)
        return back.moved(-x / self._scale, -y / self._scale)
