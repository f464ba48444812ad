"""The ways in which a kind of good pictures could be seen, each learned and measured on some of them.

    for candidate in candidates_for(samples, settings.pose, budget, margin, progress): ...

What stands out by several grounds is learned from each; a thing that is much smaller than the largest one that is
always there is a detail of the part, not the part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_build.progress import Progress
from edge_build.recipe.view_settings import PoseChoice
from edge_build.views.outstanding import GROUNDS, Outstanding, outstanding
from edge_build.views.part import LONG_PART, Part, learn_part, learn_place
from edge_build.views.samples import Sample
from edge_build.views.shape import filled, size_for, with_margin
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.imaging.view import Box, PoseName, Ring, View, ViewRecord

STEADY = 0.12  # spread of areas and axes up to which a thing is always the same
A_DETAIL = 0.5  # of the largest thing's area: what is smaller is a detail of it
LOST = 0.3  # below the median of the correlations: that picture was located wrongly
INNERMOST = 0.12  # of a ring's radius
OVERLAP = 1 / 16  # of a turn
ROUND = 1.08  # radius of the circle around a part, against that of a circle of its area


@dataclass(frozen=True)
class Budget:
    """The size that is asked for: exactly, or as many pixels in the part's own shape."""

    pixels: int
    exact: tuple[int, int] | None = None

    def size(self, width: float, height: float) -> tuple[int, int]:
        """Height and width for a box of these sides."""
        return self.exact or size_for(width, height, self.pixels)


@dataclass(frozen=True)
class Candidate:
    """A way to see, at any size. part: None for `fixed`. region: x, y, width, height in the samples' pixels; None: all.
    margin: around the part. lowest: the least sure of the samples' correlations."""

    pose: PoseName
    part: Part | None = None
    region: tuple[int, int, int, int] | None = None
    margin: float = 0.0
    lowest: float = 1.0

    @property
    def name(self) -> str:
        """For people."""
        if self.part is None:
            return "fixed" if self.region is None else "fixed, cropped"
        return self.pose if self.part.ground == "none" else f"{self.pose}, {self.part.ground}"

    def view(self, frame: tuple[int, int], budget: Budget) -> View:
        """To see samples of that height and width with."""
        if self.part is None:
            height, width = frame if self.region is None else (self.region[3], self.region[2])
            return View(*budget.size(width, height), ViewRecord(pose="fixed", frame=frame, region=self.region))
        part, ring = self.part, None
        box = part.outline if part.ground == "none" else with_margin(part.outline, self.margin)
        if self.pose == "ring":
            outer = (1 + self.margin) * part.radius
            ring = Ring(inner=INNERMOST * outer, outer=outer, overlap=OVERLAP)
            length = math.pi * (1 + OVERLAP) * (ring.inner + ring.outer)
            height, width = budget.size(length, ring.outer - ring.inner)
            box = Box(x=-outer, y=-outer, width=2 * outer, height=2 * outer)
        else:
            height, width = budget.size(box.width, box.height)
            box = filled(box, height, width)
        record = ViewRecord(pose=self.pose, frame=frame, box=box, locator=part.locator(), ring=ring)
        return View(height, width, record, part.coarse, part.fine)

    def pictures(self, samples: Sequence[Sample], budget: Budget) -> NDArray[np.uint8]:
        """What it shows of samples: uint8 BGR (n, height, width, 3)."""
        frame = samples[0].image.shape
        viewer = FrameViewer(self.view((frame[0], frame[1]), budget))
        return np.stack([viewer.see(sample.image).picture for sample in samples])


def candidates_for(samples: Sequence[Sample], pose: PoseChoice, margin: float, progress: Progress) -> list[Candidate]:
    """All ways that fit the pictures; with a pose given, those of this pose alone."""
    found: list[Candidate] = []
    things = [what for ground in GROUNDS if (what := outstanding(samples, ground)) and what.spread <= STEADY]
    largest = max((what.area for what in things), default=0.0)
    things = [what for what in things if what.area >= A_DETAIL * largest]
    wanted = [(what, name) for what in things for name in _poses(what, pose)]
    for what, name in progress.track("view: candidates", wanted):
        part = learn_part(samples, what, "template" if name == "ring" else name)
        if part is None or _lost(part):
            continue
        found.append(_seen(part, name, margin))
        if pose == "auto" and name == "template" and _is_round(part):
            found.append(_seen(part, "ring", margin))
    if pose in ("auto", "shift") and (place := learn_place(samples)) is not None and not _lost(place):
        found.append(_seen(place, "shift", 0.0))
    if pose == "auto":
        regions = [region for what in things if (region := _steady_region(samples, what, margin)) is not None]
        for region in regions[:1]:
            found.append(Candidate("fixed", None, region))
    return found


def _poses(what: Outstanding, pose: PoseChoice) -> list[PoseName]:
    if pose == "fixed":
        return []
    if pose != "auto":
        return [pose]
    return ["axis" if what.elongation >= LONG_PART else "template", "shift"]


def _lost(part: Part) -> bool:
    """Whether a sample was not found, or where it does not look like the others."""
    qualities = np.array([found.quality if found else -1.0 for found in part.found])
    return bool(qualities.min() < np.median(qualities) - LOST)


def _is_round(part: Part) -> bool:
    """Whether the part fills the circle around it."""
    return part.radius <= ROUND * math.sqrt(part.area / math.pi)


def _seen(part: Part, pose: PoseName, margin: float) -> Candidate:
    lowest = min(found.quality if found else -1.0 for found in part.found)
    return Candidate(pose, replace(part, pose=pose), None, margin, lowest)


def _steady_region(samples: Sequence[Sample], what: Outstanding, margin: float) -> tuple[int, int, int, int] | None:
    """The rectangle that holds the part of all samples, where it hardly moves; None where it does."""
    if what.missing or len({sample.image.shape for sample in samples}) > 1:
        return None
    boxes = []
    for seen in what.seen:
        high, wide = seen.thing.mask.shape
        boxes.append(
            np.array([seen.thing.left, seen.thing.top, seen.thing.left + wide, seen.thing.top + high]) * seen.side
        )
    all_boxes = np.stack(boxes)
    usual = np.median(all_boxes, axis=0)
    sides = np.array([usual[2] - usual[0], usual[3] - usual[1]] * 2)
    if (np.abs(all_boxes - usual) > STEADY * sides).any():
        return None
    height, width = samples[0].image.shape[:2]
    room = margin * sides
    left, top = np.maximum(0, np.floor(all_boxes.min(0)[:2] - room[:2])).astype(int).tolist()
    right, bottom = np.minimum([width, height], np.ceil(all_boxes.max(0)[2:] + room[2:])).astype(int).tolist()
    return left, top, right - left, bottom - top
