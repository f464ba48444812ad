"""What good parts look like on average, learned from good pictures by laying them on one another.

    part = learn_part(samples, "brighter", "axis")
    if part is not None:
        part.finder().find(sample.pyramid)

Whatever stands out in a picture and is as large as in most others is the part. Pictures are laid on one of them, then
on the mean of all, until the mean is sharp. All lengths are in pixels of the samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_build.views.outstanding import LEAST_FOUND, Outstanding, Seen
from edge_build.views.samples import Sample
from edge_build.views.template_grid import TemplateGrid
from edge_runtime.imaging.geometry import Placement, to_placement
from edge_runtime.imaging.pose.axis import both_ways_round
from edge_runtime.imaging.pose.locate import Found, PartFinder
from edge_runtime.imaging.view import Box, GroundName, Locator, PoseName, Template, TemplateRecord

COARSE, FINE = 32, 96  # pixels of the templates' longer sides
AROUND = 1.12  # how far a template reaches beyond the part's box
REFERENCES, ROUNDS = 3, 3
LONG_PART = 1.5  # long axis to short one: from here on the axis tells the angle
SHOWN = 0.08  # share of the parts that reach somewhere: there is part


@dataclass(frozen=True)
class Part:
    """A mean part that can be found. found: in every sample, in their order."""

    pose: PoseName
    ground: GroundName
    level: int
    area: float
    usual: tuple[float, float]
    outline: Box
    coarse: Template
    fine: Template
    mask: NDArray[np.float32]  # on the fine template's grid: the share of the parts that reach there
    found: tuple[Found | None, ...]

    @property
    def radius(self) -> float:
        """Of the circle around the origin that holds the part."""
        y, x = np.nonzero(self.mask > SHOWN)
        if not len(y):
            return max(self.outline.width, self.outline.height) / 2
        height, width = self.mask.shape
        return float(np.hypot(x - (width - 1) / 2, y - (height - 1) / 2).max() + 0.5) / self.fine.scale

    def locator(self) -> Locator:
        """For the finder; the files' names are those in a bundle."""
        records = [
            TemplateRecord(picture=f"view/{name}.png", weights=f"view/{name}.weights.png", scale=template.scale)
            for name, template in (("coarse", self.coarse), ("fine", self.fine))
        ]
        return Locator(
            ground=self.ground,
            level=self.level,
            area=self.area,
            usual=self.usual,
            outline=self.outline,
            coarse=records[0],
            fine=records[1],
        )

    def finder(self) -> PartFinder:
        """As on the device."""
        return PartFinder(self.pose, self.locator(), self.coarse, self.fine)


def learn_part(samples: Sequence[Sample], what: Outstanding, pose: PoseName) -> Part | None:
    """The mean part; None when the pictures cannot be laid on one another."""
    half = _half_sides(what, pose)
    grids = [TemplateGrid.of(half, longest) for longest in (COARSE, FINE)]
    best: Part | None = None
    step = max(1, len(what.seen) // REFERENCES)
    for reference in what.seen[step // 2 :: step][:REFERENCES]:
        placement = _own(reference, pose)
        templates = [grid.template([reference.sample], [placement], what) for grid in grids]
        part = _found_by(samples, what, pose, half, templates)
        if part is not None and (best is None or _middle_quality(part) > _middle_quality(best)):
            best = part
    for _ in range(ROUNDS if best is not None else 0):
        assert best is not None
        sure = _sure(best, samples)
        if len(sure) < 3:
            return None
        templates = [grid.template([s for s, _ in sure], [f.placement for _, f in sure], what) for grid in grids]
        best = _found_by(samples, what, pose, half, templates)
        if best is None:
            return None
    return best if best is None else _with_outline(best, samples, grids[1], what)


def learn_place(samples: Sequence[Sample]) -> Part | None:
    """A part, or a whole scene, that lies near one place: the mean picture, moved to where each fits best."""
    heights, widths = {s.image.shape[0] for s in samples}, {s.image.shape[1] for s in samples}
    if len(heights) > 1 or len(widths) > 1:
        return None
    height, width = heights.pop(), widths.pop()
    usual = ((width - 1) / 2, (height - 1) / 2)
    half = (0.42 * width, 0.42 * height)
    grids = [TemplateGrid.of(half, longest) for longest in (COARSE, FINE)]
    placements = [Placement(*usual)] * len(samples)
    part: Part | None = None
    for _ in range(ROUNDS):
        templates = [grid.template(samples, placements, None) for grid in grids]
        outline = Box(x=-half[0], y=-half[1], width=2 * half[0], height=2 * half[1])
        mask = np.ones((grids[1].height, grids[1].width), np.float32)
        part = Part("shift", "none", 0, 4 * half[0] * half[1], usual, outline, templates[0], templates[1], mask, ())
        part = _with_found(part, samples)
        placements = [found.placement if found else Placement(*usual) for found in part.found]
        x, y = np.mean([(p.x, p.y) for p in placements], axis=0) - usual
        placements = [Placement(p.x - x, p.y - y) for p in placements]
    return part


def _half_sides(what: Outstanding, pose: PoseName) -> tuple[float, float]:
    """How far the parts reach from their middle along their axes, in all pictures, and a bit beyond."""
    reach = []
    for seen in what.seen:
        y, x = np.nonzero(seen.thing.mask)
        dx, dy = x + seen.thing.left - seen.thing.x, y + seen.thing.top - seen.thing.y
        if pose == "axis":
            along, across = seen.thing.cos * dx + seen.thing.sin * dy, seen.thing.cos * dy - seen.thing.sin * dx
        elif pose == "shift":
            along, across = dx, dy
        else:
            along = across = np.hypot(dx, dy)
        reach.append((np.abs(along).max() * seen.side, np.abs(across).max() * seen.side))
    far = np.percentile(np.array(reach), 90, axis=0) * AROUND
    return float(far[0]), float(far[1])


def _own(seen: Seen, pose: PoseName) -> Placement:
    """The place of a reference: its middle, and along its own axis for a long part."""
    thing = seen.thing
    place = both_ways_round(thing)[0] if pose == "axis" else Placement(thing.x, thing.y)
    return to_placement(place, seen.side)


def _found_by(
    samples: Sequence[Sample], what: Outstanding, pose: PoseName, half: tuple[float, float], templates: list[Template]
) -> Part | None:
    places = [to_placement(Placement(seen.thing.x, seen.thing.y), seen.side) for seen in what.seen]
    usual = float(np.mean([p.x for p in places])), float(np.mean([p.y for p in places]))
    outline = Box(x=-half[0] / AROUND, y=-half[1] / AROUND, width=2 * half[0] / AROUND, height=2 * half[1] / AROUND)
    mask = np.zeros(templates[1].picture.shape, np.float32)
    part = Part(pose, what.ground, what.level, what.area, usual, outline, templates[0], templates[1], mask, ())
    part = _with_found(part, samples)
    return part if sum(f is not None for f in part.found) >= LEAST_FOUND * len(samples) else None


def _with_found(part: Part, samples: Sequence[Sample]) -> Part:
    finder = part.finder()
    found = tuple(finder.find(sample.pyramid) for sample in samples)
    return replace(part, found=found)


def _middle_quality(part: Part) -> float:
    return float(np.median([f.quality if f else -1.0 for f in part.found]))


def _sure(part: Part, samples: Sequence[Sample]) -> list[tuple[Sample, Found]]:
    """The samples that lie well on the mean."""
    middle = _middle_quality(part)
    return [(s, f) for s, f in zip(samples, part.found, strict=True) if f is not None and f.quality >= middle - 0.2]


def _with_outline(part: Part, samples: Sequence[Sample], grid: TemplateGrid, what: Outstanding) -> Part:
    """The part with its own box, from where the things of all pictures reach."""
    sure = _sure(part, samples)
    mask = grid.mask([s for s, _ in sure], [f.placement for _, f in sure], what)
    rows, columns = np.flatnonzero((mask > SHOWN).any(1)), np.flatnonzero((mask > SHOWN).any(0))
    if not len(rows):
        return part
    left = (columns[0] - grid.width / 2) / grid.scale
    top = (rows[0] - grid.height / 2) / grid.scale
    outline = Box(
        x=left,
        y=top,
        width=(columns[-1] + 1 - columns[0]) / grid.scale,
        height=(rows[-1] + 1 - rows[0]) / grid.scale,
    )
    return replace(part, outline=outline, mask=mask)
