"""The sample's part: a turned steel flange with three lugs, drawn from distances, so that every edge is exact.

Lengths are in pixels of the finished picture; surfaces are drawn SCALE times finer and reduced at the end.

    surface = draw_surface(pose_by_chance(random), random)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating[Any]]  # float32 in fact; NumPy's annotations lose that in arithmetic

SIDE = 320  # of the finished picture
SCALE = 2

RIM, LUG_AT, LUG_RADIUS = 104.0, 105.0, 29.0
BORE, BOSS, GROOVE = 36.0, 59.0, 82.0
BOLT_RADIUS, BOLT_SINK = 11.0, 17.0
PIN_AT, PIN_RADIUS, PINS = 70.5, 5.0, 6
CHAMFER = 3.5
TEXT_AT, TEXT_HEIGHT = 93.0, 12.0
TEXT_FROM = math.radians(-9)

LUG_ANGLES = tuple(math.radians(90 + 120 * lug) for lug in range(3))
PIN_ANGLES = tuple(math.radians(30 + 360 / PINS * pin) for pin in range(PINS))


@dataclass(frozen=True)
class Pose:
    """Where the part lies: the centre in pixels of the picture, the angle in radians."""

    x: float
    y: float
    angle: float


@dataclass(frozen=True)
class Hole:
    """A hole in the part's own coordinates: its centre, its radius and that of its chamfer."""

    u: float
    v: float
    radius: float
    sink: float


@dataclass
class Surface:
    """A part as it lies, all planes (SIDE * SCALE, SIDE * SCALE). Defects are worked into it.

    x, y: pixels of the picture; radius, angle: polar coordinates of the part; outline: signed distance to the part's
    outer edge, negative within; solid: 1 on metal, 0 in holes and beside the part; height: in pixels; marks: how far
    turning tilts the metal; reflectance: of the surface, 1 is clean steel; tint: added blue, green and red.
    """

    pose: Pose
    x: Plane
    y: Plane
    radius: Plane
    angle: Plane
    outline: Plane
    solid: Plane
    height: Plane
    marks: Plane
    reflectance: Plane
    tint: NDArray[np.float32]
    hollow: Plane  # brightness of what is seen within holes


def pose_by_chance(random: np.random.Generator, reach: float = 1.0) -> Pose:
    """Any angle; the centre up to 11 pixels from the middle, times `reach`."""
    dx, dy = random.uniform(-11, 11, 2) * reach
    return Pose(float(SIDE / 2 + dx), float(SIDE / 2 + dy), float(random.uniform(0, 2 * math.pi)))


def holes() -> tuple[Hole, ...]:
    """The bolt holes, one a lug, then the pin holes."""
    bolts = tuple(Hole(LUG_AT * math.cos(a), LUG_AT * math.sin(a), BOLT_RADIUS, BOLT_SINK) for a in LUG_ANGLES)
    pins = tuple(Hole(PIN_AT * math.cos(a), PIN_AT * math.sin(a), PIN_RADIUS, PIN_RADIUS + 1.5) for a in PIN_ANGLES)
    return bolts + pins


def draw_surface(pose: Pose, random: np.random.Generator, omit: int | None = None) -> Surface:
    """A part without defects, but with its own turning marks and serial number. omit: a hole that was not drilled."""
    axis = (np.arange(SIDE * SCALE, dtype=np.float32) + 0.5) / SCALE
    x, y = np.meshgrid(axis, axis)
    u, v = _part_from_picture(x, y, pose)
    radius, angle = np.hypot(u, v), np.arctan2(v, u)

    outline: Plane = radius - RIM
    for lug in LUG_ANGLES:
        distance = np.hypot(u - LUG_AT * math.cos(lug), v - LUG_AT * math.sin(lug)) - LUG_RADIUS
        outline = _blend(outline, distance, 16.0)
    height = 2 * CHAMFER * _rise(-outline / CHAMFER)
    height += 3.0 * _rise((BOSS - radius) / 3.0 + 0.5)
    height -= 2.2 * _rise((3.0 - np.abs(radius - GROOVE)) / 1.5)
    height -= 1.1 * _engraving(radius, angle, f"FLV-32  {random.integers(1000, 9999)}  C45E")

    solid = _inside(outline) * _inside(BORE - radius)
    height -= 4.0 * _rise((BORE + 3.0 - radius) / 3.0)
    hollow = np.full_like(radius, 0.05)
    hollow += 0.10 * _rise((radius - BORE + 7) / 7) * (radius < BORE + 1)
    for index, hole in enumerate(holes()):
        if index == omit:
            continue
        near = _window(hole, pose)
        distance = np.hypot(u[near] - hole.u, v[near] - hole.v)
        solid[near] *= _inside(hole.radius - distance)
        height[near] -= (hole.sink - hole.radius) * _rise((hole.sink - distance) / (hole.sink - hole.radius))
        depth = np.clip(distance / hole.radius, 0, 1)
        thread = 0.5 + 0.5 * np.sin(distance * (2 * math.pi / 1.9))
        hollow[near] += (distance < hole.radius + 1) * depth**3 * (0.05 + 0.22 * thread * (hole.radius > PIN_RADIUS))
    return Surface(
        pose=pose,
        x=x,
        y=y,
        radius=radius,
        angle=angle,
        outline=outline.astype(np.float32),
        solid=solid.astype(np.float32),
        height=height.astype(np.float32),
        marks=_turning(radius, random),
        reflectance=np.ones_like(radius),
        tint=np.zeros((*radius.shape, 3), dtype=np.float32),
        hollow=hollow.astype(np.float32),
    )


def hole_distance(surface: Surface, hole: Hole) -> Plane:
    """The distance of every point to the centre of a hole, in pixels."""
    x, y = picture_from_part(hole.u, hole.v, surface.pose)
    return np.asarray(np.hypot(surface.x - np.float32(x), surface.y - np.float32(y)))


def picture_from_part(u: float, v: float, pose: Pose) -> tuple[float, float]:
    """A point of the part, in pixels of the picture."""
    cos, sin = math.cos(pose.angle), math.sin(pose.angle)
    return float(pose.x + cos * u - sin * v), float(pose.y + sin * u + cos * v)


def clouds(random: np.random.Generator, size: float, shape: tuple[int, int]) -> Plane:
    """Smooth noise, mean 0 and deviation 1; `size` in pixels of the picture is about that of its blotches."""
    cells = max(3, round(SIDE / size))
    coarse = random.standard_normal((cells, cells)).astype(np.float32)
    fine = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray((fine - fine.mean()) / fine.std(), dtype=np.float32)


def _window(hole: Hole, pose: Pose) -> tuple[slice, slice]:
    """The rows and columns around a hole."""
    x, y = picture_from_part(hole.u, hole.v, pose)
    low, high = -hole.sink - 1, hole.sink + 1
    rows, columns = (slice(int((at + low) * SCALE), int((at + high) * SCALE)) for at in (y, x))
    return rows, columns


def _part_from_picture(x: Plane, y: Plane, pose: Pose) -> tuple[Plane, Plane]:
    cos, sin = math.cos(pose.angle), math.sin(pose.angle)
    dx, dy = x - pose.x, y - pose.y
    return cos * dx + sin * dy, cos * dy - sin * dx


def _inside(distance: Plane) -> Plane:
    """1 where a signed distance is negative, 0 where it is positive, in between over one fine pixel."""
    return np.asarray(np.clip(0.5 - distance * SCALE, 0, 1))


def _rise(share: Plane) -> Plane:
    """From 0 to 1 with soft ends, as its argument goes from 0 to 1."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def _blend(a: Plane, b: Plane, width: float) -> Plane:
    """The union of two shapes with a fillet (Quilez, "smooth minimum")."""
    mix = np.clip(0.5 + 0.5 * (b - a) / width, 0, 1)
    return b + (a - b) * mix - width * mix * (1 - mix)


def _engraving(radius: Plane, angle: Plane, text: str) -> Plane:
    """How deep the text along the rim is cut, 0 to 1."""
    fine = 4  # strip pixels for one of the picture
    strip: NDArray[np.uint8] = np.zeros((int(TEXT_HEIGHT * fine), int(math.pi * TEXT_AT * fine)), dtype=np.uint8)
    cv2.putText(strip, text, (fine, int(9.5 * fine)), cv2.FONT_HERSHEY_DUPLEX, 1.25, 255, 4, cv2.LINE_AA)
    along = np.mod(angle - TEXT_FROM, 2 * np.pi) * TEXT_AT * fine
    across = (radius - TEXT_AT + TEXT_HEIGHT / 2) * fine
    strip = np.asarray(cv2.GaussianBlur(strip, (0, 0), 1.5), dtype=np.uint8)
    cut = cv2.remap(strip, along.astype(np.float32), (TEXT_HEIGHT * fine - across).astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(cut, dtype=np.float32) / 255


def _turning(radius: Plane, random: np.random.Generator) -> Plane:
    """The tool's feed lines: noise along the radius, fine and coarse, with the feed's own period."""
    steps = np.arange(0, SIDE, 0.25)
    lines = random.standard_normal(steps.size)
    lines = lines + 2 * np.convolve(random.standard_normal(steps.size), np.ones(12) / 12, "same")
    feed = random.uniform(2.2, 2.8)
    lines = 0.045 * lines + 0.05 * np.sin(2 * np.pi * steps / feed + random.uniform(0, 6))
    return np.interp(radius, steps, lines).astype(np.float32)
