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

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.views.samples import Sample
from edge_runtime.imaging.geometry import Matrix, Placement, joined, to_placement
from edge_runtime.imaging.pose.axis import both_ways_round
from edge_runtime.imaging.pose.foreground import Thing, standing_out, things_in
from edge_runtime.imaging.pose.locate import Found, PartFinder
from edge_runtime.imaging.pyramid import sampled
from edge_runtime.imaging.view import Box, GroundName, Locator, PoseName, Template, TemplateRecord

GROUNDS: tuple[GroundName, ...] = ("brighter", "darker", "unlike-border", "textured")
SEGMENTED = 256  # pixels of the longer side at which things are told from the ground
COARSE, FINE = 32, 96  # pixels of the templates' longer sides
AROUND = 1.12  # how far a template reaches beyond the part's box
REFERENCES, ROUNDS = 3, 3
LEAST_FOUND = 0.9  # share of the pictures with a thing of the usual size
LIKE = 1.6  # times the usual size, or a share of it
MOST_OF_PICTURE = 0.85  # what fills more stands before no ground
LONG_PART = 1.5  # long axis to short one: from here on the axis tells the angle
SHOWN = 0.08  # share of the parts that reach somewhere: there is part
UNSURE = 8.0  # grey values: a template's pixel that varies so much counts half
LEAST_WEIGHT = 0.2  # what varies still tells one part from another


@dataclass(frozen=True)
class Seen:
    """The one thing of a sample that may be the part."""

    sample: Sample
    thing: Thing
    side: int  # the sample's pixels along one that it was found in


@dataclass(frozen=True)
class Outstanding:
    """What stands out by one ground. spread: of areas and long axes, as a share; small when it is always the same."""

    ground: GroundName
    level: int
    seen: tuple[Seen, ...]
    missing: int
    area: float
    long: float
    elongation: float
    spread: float
    second: float


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


def outstanding(samples: Sequence[Sample], ground: GroundName) -> Outstanding | None:
    """What stands out in the samples by a ground; None when it is not the same in nearly all."""
    found: list[tuple[Sample, list[Thing], int]] = []
    level = 0
    for sample in samples:
        level = max(0, round(np.log2(max(sample.image.shape[:2]) / SEGMENTED)))
        level = sample.pyramid.depth(level)
        mask = standing_out(sample.pyramid, level, ground)
        things = [t for t in things_in(mask, 6) if _apart(t, mask)]
        found.append((sample, things, 1 << level))
    largest = [things[0].area for _, things, _ in found if things]
    if len(largest) < LEAST_FOUND * len(samples):
        return None
    usual = float(np.median(largest))
    seen, seconds = [], []
    for sample, things, side in found:
        fitting = [t for t in things if usual / LIKE <= t.area <= LIKE * usual]
        if fitting:
            thing = min(fitting, key=lambda t: abs(np.log(t.area / usual)))
            seen.append(Seen(sample, thing, side))
            seconds.append(max((t.area / usual for t in things if t is not thing), default=0.0))
    if len(seen) < LEAST_FOUND * len(samples) or len(seen) < 3:
        return None
    areas, longs = (np.array([getattr(s.thing, name) for s in seen]) for name in ("area", "long"))
    spread = max(_spread(np.sqrt(areas)), _spread(longs))
    side = 1 << level
    return Outstanding(
        ground,
        level,
        tuple(seen),
        len(samples) - len(seen),
        usual * side**2,
        float(np.median(longs)) * side,
        float(np.median([s.thing.long / max(s.thing.short, 1e-6) for s in seen])),
        spread,
        float(max(seconds)),
    )


def learn_part(samples: Sequence[Sample], what: Outstanding, pose: PoseName) -> Part | None:
    """The mean part; None when the pictures cannot be laid on one another."""
    half = _half_sides(what, pose)
    grids = [_Grid.of(half, longest) for longest in (COARSE, FINE)]
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
    grids = [_Grid.of(half, longest) for longest in (COARSE, FINE)]
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


@dataclass(frozen=True)
class _Grid:
    """A template's pixels over the part: its middle is the part's origin."""

    height: int
    width: int
    scale: float

    @staticmethod
    def of(half: tuple[float, float], longest: int) -> _Grid:
        """half: how far the template reaches from the origin along the part's axes."""
        scale = longest / (2 * max(half))
        return _Grid(max(8, round(2 * half[1] * scale)), max(8, round(2 * half[0] * scale)), scale)

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
            reach = max(3, max(self.height, self.width) // 12) | 1
            around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
            weights = weights * np.asarray(cv2.dilate(near, around))
        mean = level.mean(0) + stack.mean()
        return Template(np.clip(np.rint(mean), 0, 255).astype(np.uint8), np.rint(weights).astype(np.uint8), self.scale)

    def mask(
        self, samples: Sequence[Sample], placements: Sequence[Placement], what: Outstanding
    ) -> NDArray[np.float32]:
        """The share of the parts that reach there."""
        masks = {id(seen.sample): _mask(seen) for seen in what.seen}
        total, count = np.zeros((self.height, self.width), np.float32), 0
        for sample, placement in zip(samples, placements, strict=True):
            if id(sample) in masks:
                matrix = joined(placement.matrix(), self.matrix())
                total += sampled(masks[id(sample)], matrix, self.height, self.width).astype(np.float32) / 255
                count += 1
        return np.asarray(total / max(count, 1), np.float32)


def _apart(thing: Thing, mask: NDArray[np.uint8]) -> bool:
    """Whether a thing stands before a ground: it neither fills the picture nor runs along most of its border."""
    height, width = mask.shape
    high, wide = thing.mask.shape
    if thing.area > MOST_OF_PICTURE * height * width:
        return False
    touched = [thing.left == 0, thing.top == 0, thing.left + wide == width, thing.top + high == height]
    return sum(map(bool, touched)) < 3


def _spread(values: NDArray[np.float64]) -> float:
    """A robust standard deviation as a share of the median."""
    middle = np.median(values)
    return float(1.4826 * np.median(np.abs(values - middle)) / max(middle, 1e-9))


def _mask(seen: Seen) -> NDArray[np.uint8]:
    """A thing's mask in the sample's size."""
    image = seen.sample.image
    small = np.zeros((-(-image.shape[0] // seen.side), -(-image.shape[1] // seen.side)), np.uint8)
    high, wide = seen.thing.mask.shape
    small[seen.thing.top : seen.thing.top + high, seen.thing.left : seen.thing.left + wide] = 255 * seen.thing.mask
    full = cv2.resize(small, None, fx=seen.side, fy=seen.side, interpolation=cv2.INTER_LINEAR)
    return np.asarray(full[: image.shape[0], : image.shape[1]], np.uint8)


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


def _with_outline(part: Part, samples: Sequence[Sample], grid: _Grid, what: Outstanding) -> Part:
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
