"""What stands out in good pictures from their ground, and is the same in nearly all: it may be the part.

    what = outstanding(samples, "brighter")

A picture shows things before a ground. The one that is as large as in most other pictures is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.views.samples import Sample
from edge_runtime.imaging.pose.foreground import Thing, standing_out, things_in
from edge_runtime.imaging.view import GroundName

GROUNDS: tuple[GroundName, ...] = ("brighter", "darker", "unlike-border", "textured")
SEGMENTED = 256  # pixels of the longer side at which things are separated from the ground
LEAST_FOUND = 0.9  # share of the pictures with a thing of the usual size
LIKE = 1.6  # times the usual size, or a share of it
MOST_OF_PICTURE = 0.85  # what fills more stands before no ground


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


def thing_mask(seen: Seen) -> NDArray[np.uint8]:
    """A thing's mask in the sample's size."""
    image = seen.sample.image
    small = np.zeros((-(-image.shape[0] // seen.side), -(-image.shape[1] // seen.side)), np.uint8)
    high, wide = seen.thing.mask.shape
    small[seen.thing.top : seen.thing.top + high, seen.thing.left : seen.thing.left + wide] = 255 * seen.thing.mask
    full = cv2.resize(small, None, fx=seen.side, fy=seen.side, interpolation=cv2.INTER_LINEAR)
    return np.asarray(full[: image.shape[0], : image.shape[1]], np.uint8)


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
