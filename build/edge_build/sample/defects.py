"""The sample's defects: each is worked into a surface before it is lit, so it shines and shades as the part does.

DEFECTS["scratch"](surface, 0.3, random)  # severity 0 (hardly seen) to 1 (plain); returns where it is
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.sample.part import (
    BORE,
    GROOVE,
    RIM,
    SCALE,
    Plane,
    Surface,
    clouds,
    draw_surface,
    hole_distance,
    holes,
    picture_from_part,
)

Point = tuple[float, float]


def scratch(surface: Surface, severity: float, random: np.random.Generator) -> Plane:
    """A slightly bent groove with raised, shiny flanks."""
    x, y = _point_on_face(surface, random)
    heading, bend = random.uniform(0, 2 * math.pi), random.uniform(-0.012, 0.012)
    length, width = 16 + 60 * severity + random.uniform(0, 14), 0.8 + 1.3 * severity
    points = []
    for _ in range(int(length)):
        points.append((x, y))
        x, y, heading = x + math.cos(heading), y + math.sin(heading), heading + bend
    line = _line(points, width, surface) * surface.solid
    soft = _soften(line, 0.5)
    surface.height -= (0.5 + 1.0 * severity) * soft
    surface.reflectance += (0.10 + 0.5 * severity) * _soften(line, 0.3) * _sign(random)
    return line


def dent(surface: Surface, severity: float, random: np.random.Generator) -> Plane:
    """A blow: a shallow hollow with a low rim, in which the turning marks are pressed flat."""
    x, y = _point_on_face(surface, random, margin=7)
    radius, stretch, lean = 3.5 + 6 * severity, random.uniform(0.65, 1.0), random.uniform(0, math.pi)
    dx, dy = surface.x - x, surface.y - y
    along = dx * math.cos(lean) + dy * math.sin(lean)
    across = (dy * math.cos(lean) - dx * math.sin(lean)) / stretch
    away = (along * along + across * across) / radius**2
    depth = (1.3 + 2.6 * severity) * (radius / 6)
    surface.height += depth * (0.35 * away - 1) * np.exp(-1.6 * away)
    inside = np.clip((1.0 - np.sqrt(away)) * radius * SCALE + 0.5, 0, 1) * surface.solid
    surface.marks *= 1 - 0.9 * inside
    return np.asarray(inside)


def missing_hole(surface: Surface, severity: float, random: np.random.Generator) -> Plane:
    """A hole that was not drilled: a bolt hole when severe, a pin hole otherwise; a faint centre mark is left."""
    every = holes()
    omit = int(random.integers(3)) if severity > 0.75 else int(random.integers(3, len(every)))
    hole = every[omit]
    distance = hole_distance(surface, hole)
    whole = draw_surface(surface.pose, np.random.default_rng(0), omit)
    region = distance < hole.sink + 1
    surface.solid[region] = whole.solid[region]
    surface.height[region] = whole.height[region]
    surface.height -= 0.8 * np.exp(-((distance / 1.2) ** 2))
    return np.asarray(np.clip((hole.sink - distance) * SCALE + 0.5, 0, 1))


def chip(surface: Surface, severity: float, random: np.random.Generator) -> Plane:
    """A piece broken out of the rim, with a rough bright fracture."""
    x, y = _point_on_rim(surface, random)
    radius = 3.2 + 8 * severity
    distance = np.hypot(surface.x - x, surface.y - y) - radius
    distance += 0.22 * radius * clouds(random, 0.9 * radius, surface.x.shape)
    bite = np.clip(0.5 - distance * SCALE, 0, 1) * (distance < 1.2 * radius)
    fracture = np.clip(1 - np.abs(distance - 0.8) / 1.6, 0, 1) * surface.solid
    mask = np.maximum(bite, fracture > 0.3) * surface.solid
    surface.height -= 2.5 * _soften(bite, 1.0) + 0.8 * fracture * clouds(random, 2, surface.x.shape)
    surface.reflectance += 0.5 * fracture
    surface.outline = np.where((bite > 0.5) & (surface.outline < 0), np.float32(0.25), surface.outline)
    surface.solid *= 1 - bite
    return np.asarray(mask)


def contamination(surface: Surface, severity: float, random: np.random.Generator) -> Plane:
    """Something that does not belong there: a curl of swarf, or a smear of grease."""
    x, y = _point_on_face(surface, random, margin=4)
    return (_swarf if random.random() < 0.5 else _grease)(surface, x, y, severity, random)


def crack(surface: Surface, severity: float, random: np.random.Generator) -> Plane:
    """A dark jagged line from an edge inward that gets thinner, with a branch when severe."""
    (x, y), heading = _point_on_an_edge(surface, random)
    length = 13 + 30 * severity
    trunk = _walk(x, y, heading, length, random)
    line = _taper(trunk, 1.0 + 0.9 * severity, surface)
    if severity > 0.5:
        start = trunk[len(trunk) // 2]
        branch = _walk(*start, heading + 0.7 * _sign(random), length / 2.5, random)
        line = np.maximum(line, _taper(branch, 0.9, surface))
    line = line * surface.solid
    surface.reflectance *= 1 - (0.55 + 0.35 * severity) * line
    surface.height -= 0.5 * _soften(line, 0.5)
    return np.asarray(line)


Defect = Callable[[Surface, float, np.random.Generator], Plane]
DEFECTS: dict[str, Defect] = {
    defect.__name__: defect for defect in (chip, contamination, crack, dent, missing_hole, scratch)
}


def _swarf(surface: Surface, x: float, y: float, severity: float, random: np.random.Generator) -> Plane:
    turns, grow, start = random.uniform(0.7, 1.7), (2.0 + 3.5 * severity), random.uniform(0, 2 * math.pi)
    squeeze, drift_x, drift_y = random.uniform(0.45, 0.9), *random.uniform(-0.35, 0.35, 2)
    points = []
    for step in np.linspace(0, turns * 2 * math.pi, 60).tolist():
        reach, turn = grow * (0.6 + 0.22 * step), start + step
        along, across = reach * math.cos(turn) + grow * drift_x * step, squeeze * reach * math.sin(turn)
        points.append((x + along, y + across + grow * drift_y * step))
    curl = _line(points, 1.1 + 0.9 * severity, surface)
    moved = np.array([[1, 0, 2.0 * SCALE], [0, 1, 2.5 * SCALE]], dtype=np.float32)
    shadow = _soften(np.asarray(cv2.warpAffine(curl, moved, curl.shape[::-1]), dtype=np.float32), 1.0)
    surface.reflectance *= 1 - 0.55 * shadow
    surface.height += 1.6 * _soften(curl, 0.5)
    surface.solid = np.maximum(surface.solid, curl)
    surface.marks *= 1 - curl
    surface.tint += curl[..., None] * np.array([0.10, 0.03, -0.04], dtype=np.float32) * (0.5 + severity)
    return curl


def _grease(surface: Surface, x: float, y: float, severity: float, random: np.random.Generator) -> Plane:
    radius = 4 + 8 * severity
    distance = np.hypot(surface.x - x, (surface.y - y) * random.uniform(1.0, 1.7)) - radius
    distance += 0.3 * radius * clouds(random, 0.9 * radius, surface.x.shape)
    blot = np.clip(0.5 - distance, 0, 1) * (distance < radius) * surface.solid
    film = _soften(blot, 0.6)
    surface.reflectance *= 1 - (0.25 + 0.35 * severity) * film
    surface.marks *= 1 - film
    surface.height += 0.6 * _soften(blot, 1.5)
    surface.tint += film[..., None] * np.array([-0.05, -0.01, 0.035], dtype=np.float32) * (0.4 + severity)
    return np.asarray(blot)


def _point_on_face(surface: Surface, random: np.random.Generator, margin: float = 3) -> Point:
    """A point of the picture on flat metal, so far away from edges and holes."""
    flat = surface.solid > 0.99
    flat &= (np.abs(surface.radius - GROOVE) > margin) & (surface.radius > BORE + 3 + margin)
    size = 2 * round(margin * SCALE) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    inside = cv2.erode(flat.astype(np.uint8), kernel)
    rows, columns = np.nonzero(inside)
    index = int(random.integers(len(rows)))
    return float(columns[index] / SCALE), float(rows[index] / SCALE)


def _point_on_rim(surface: Surface, random: np.random.Generator) -> Point:
    rows, columns = np.nonzero(np.abs(surface.outline) < 0.5)
    index = int(random.integers(len(rows)))
    return float(columns[index] / SCALE), float(rows[index] / SCALE)


def _point_on_an_edge(surface: Surface, random: np.random.Generator) -> tuple[Point, float]:
    """A point on the rim or on the bore, and the heading into the metal, not quite straight."""
    angle = random.uniform(0, 2 * math.pi)
    from_bore = random.random() < 0.5
    radius = BORE + 1 if from_bore else RIM - 4.5
    u, v = radius * math.cos(angle), radius * math.sin(angle)
    inward = angle + surface.pose.angle + (0 if from_bore else math.pi)
    return picture_from_part(u, v, surface.pose), float(inward + random.uniform(-0.5, 0.5))


def _walk(x: float, y: float, heading: float, length: float, random: np.random.Generator) -> list[Point]:
    points = [(x, y)]
    for _ in range(int(length / 2)):
        turn = heading + random.normal(0, 0.55)
        x, y = x + 2 * math.cos(turn), y + 2 * math.sin(turn)
        points.append((float(x), float(y)))
    return points


def _taper(points: Sequence[Point], width: float, surface: Surface) -> Plane:
    """A line that loses three quarters of its width along its way."""
    line = np.zeros(surface.x.shape, dtype=np.float32)
    for index in range(len(points) - 1):
        here = width * (1 - 0.75 * index / len(points))
        line = np.maximum(line, _line(points[index : index + 2], here, surface))
    return line


def _line(points: Sequence[Point], width: float, surface: Surface) -> NDArray[np.float32]:
    """Coverage, 0 to 1, of a line through points of the picture; thinner than a fine pixel it gets fainter."""
    canvas: NDArray[np.uint8] = np.zeros(surface.x.shape, dtype=np.uint8)
    path = np.rint((np.array(points) * SCALE - 0.5) * 16).astype(np.int32)
    cv2.polylines(canvas, [path.reshape(-1, 1, 2)], False, 255, max(1, round(width * SCALE)), cv2.LINE_AA, 4)
    return np.asarray(canvas / np.float32(255) * min(1.0, width * SCALE), dtype=np.float32)


def _soften(plane: Plane, radius: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), radius * SCALE), dtype=np.float32)


def _sign(random: np.random.Generator) -> float:
    return 1.0 if random.random() < 0.5 else -1.0
