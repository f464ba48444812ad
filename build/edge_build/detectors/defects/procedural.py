"""Pictures of surfaces made by a program, to cut made-up defects from where a user has none: six families.

Noise (clouds, grain, rust), weaves and grids, scratches and fibres, stains and drops, chips and gravel, print. Colours,
sizes and contrasts are drawn at random, as widely as pictures of real surfaces have them: what they are cut for is to
look unlike any one part, not like a certain defect.

    for texture in procedural_textures(120, 320, 320, seed):
        ...  # uint8 BGR (320, 320, 3)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # BGR (H, W, 3)
Plane = NDArray[np.float32]  # (H, W)
Random = np.random.Generator

GLYPHS = "ABCDEFGHKLMNPRSTUVXYZ0123456789#*+-/"


def procedural_textures(count: int, height: int, width: int, seed: int) -> Iterator[Image]:
    """So many pictures (height, width, 3), the families by turns; the same seed makes the same."""
    for number in range(count):
        random = np.random.default_rng((seed, number))
        yield FAMILIES[number % len(FAMILIES)](height, width, random)


def _noise(height: int, width: int, random: Random) -> Image:
    """Octaves of smooth noise, perhaps drawn out along one axis."""
    total = np.zeros((height, width), np.float32)
    finest, stretch = random.uniform(0.5, 3), random.choice([1, 1, 4, 12])
    for octave in range(int(random.integers(1, 5))):
        sigma = finest * 2**octave
        total += 2**octave * random.uniform(0.2, 1) * _smooth(height, width, sigma * stretch, sigma, random)
    return _two_colours(_unit(total), random)


def _weave(height: int, width: int, random: Random) -> Image:
    """Threads, grids or knurls: two waves that cross at any angle, sharp or soft."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, cross = random.uniform(0, np.pi), random.choice([np.pi / 2, np.pi / 3])
    period = 2 ** random.uniform(2, 5.5)
    wander = random.uniform(0, 0.2) * period * _smooth(height, width, 20, 20, random)
    waves = [
        np.sin(2 * np.pi * (x * np.cos(a) + y * np.sin(a) + wander) / (period * random.uniform(0.6, 1.6)))
        for a in (angle, angle + cross)
    ]
    woven = np.maximum(*waves) if random.random() < 0.5 else waves[0] * waves[1]
    sharp = np.tanh(random.uniform(0.5, 5) * woven)
    return _two_colours(_unit(sharp + random.uniform(0, 0.4) * _smooth(height, width, 0.7, 0.7, random)), random)


def _scratches(height: int, width: int, random: Random) -> Image:
    """Lines, straight or bent, along one way or every way, on a soft ground."""
    picture = _ground(height, width, random)
    way, spread = random.uniform(0, 2 * np.pi), random.choice([0.05, 0.4, 3])
    for _ in range(int(2 ** random.uniform(3, 7.5))):
        points, angle = [random.random(2) * (width, height)], way + random.normal(0, spread)
        length = random.uniform(0.05, 0.5) * max(height, width)
        bend = random.choice([0.02, 0.3])
        for _ in range(8):
            angle += random.normal(0, bend)
            points.append(points[-1] + length / 8 * np.array([np.cos(angle), np.sin(angle)]))
        line = np.round(np.array(points)).astype(np.int32)
        cv2.polylines(picture, [line], False, _colour(random), int(random.integers(1, 4)), cv2.LINE_AA)
    return picture


def _stains(height: int, width: int, random: Random) -> Image:
    """Blots and drops with ragged, soft or dark rims."""
    ground, coarse = _ground(height, width, random), float(2 ** random.uniform(2, 5))
    field = _smooth(height, width, coarse, coarse, random) + 0.3 * _smooth(height, width, 2, 2, random)
    inside = 1 / (1 + np.exp(-random.uniform(2, 20) * np.clip(field - random.uniform(-0.5, 1), -4, 4)))
    rim = random.uniform(0, 2) * inside * (1 - inside)
    stain = np.array(_colour(random)) * (1 - rim[..., None])
    return _clipped(ground * (1 - inside[..., None]) + stain * inside[..., None])


def _chips(height: int, width: int, random: Random) -> Image:
    """Broken pieces: the nearest of scattered points decides the shade, with a dark gap between pieces."""
    count = int(2 ** random.uniform(4, 9))
    seeds = np.ones((height, width), np.uint8)
    rows, columns = random.integers(height, size=count), random.integers(width, size=count)
    seeds[rows, columns] = 0
    distance, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    shades = random.random(int(labels.max()) + 1).astype(np.float32)
    near = distance / max(float(distance.max()), 1)
    field = shades[labels] - random.uniform(0, 1.5) * near + 0.1 * _smooth(height, width, 1, 1, random)
    return _two_colours(_unit(field), random)


def _print(height: int, width: int, random: Random) -> Image:
    """Letters, digits, bars and dots of any size, turned together."""
    picture = _ground(height, width, random)
    colour = _colour(random)
    for _ in range(int(random.integers(20, 80))):
        x, y = (int(v) for v in random.random(2) * (width, height))
        size, thick = float(random.uniform(0.3, 2)), int(random.integers(1, 4))
        if random.random() < 0.6:
            text = "".join(random.choice(list(GLYPHS), int(random.integers(1, 6))))
            cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, thick, cv2.LINE_AA)
        elif random.random() < 0.5:
            cv2.rectangle(picture, (x, y), (x + int(8 * size), y + int(40 * size)), colour, -1)
        else:
            cv2.circle(picture, (x, y), int(10 * size), colour, thick, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-180, 180), 1.4)
    return np.asarray(cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


FAMILIES: tuple[Callable[[int, int, Random], Image], ...] = (_noise, _weave, _scratches, _stains, _chips, _print)


def _ground(height: int, width: int, random: Random) -> Image:
    """Nearly one colour, with a soft fall of light and some grain."""
    light = random.uniform(0, 25) * _smooth(height, width, 40, 40, random)
    grain = random.uniform(0, 12) * _smooth(height, width, 0.6, 0.6, random)
    return _clipped(np.array(_colour(random), np.float32) + (light + grain)[..., None])


def _two_colours(shares: Plane, random: Random) -> Image:
    """Shares (H, W) of 0 to 1 as a way from one colour to another."""
    first, second = np.array(_colour(random), np.float32), np.array(_colour(random), np.float32)
    return _clipped(first + shares[..., None] * (second - first))


def _colour(random: Random) -> tuple[float, float, float]:
    """Any grey, or as often a tint of it."""
    grey, tint = random.uniform(10, 245), random.choice([0, 60])
    blue, green, red = np.clip(grey + tint * random.uniform(-1, 1, 3), 0, 255)
    return float(blue), float(green), float(red)


def _smooth(height: int, width: int, across: float, down: float, random: Random) -> Plane:
    """Noise of mean 0 and deviation 1 that changes over about so many pixels along each axis."""
    shrink = max(1, int(min(across, down) / 2))  # a coarse field needs no pixel of its own
    small = random.standard_normal((-(-height // shrink) + 1, -(-width // shrink) + 1)).astype(np.float32)
    soft = cv2.GaussianBlur(small, (0, 0), sigmaX=across / shrink, sigmaY=down / shrink)
    field = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), np.float32)


def _unit(field: NDArray[np.floating]) -> Plane:
    """Values from 0 to 1, the farthest hundredth at either end cut."""
    low, high = np.percentile(field, [1, 99])
    return np.asarray(np.clip((field - low) / max(high - low, 1e-6), 0, 1), np.float32)


def _clipped(values: NDArray[np.floating]) -> Image:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
