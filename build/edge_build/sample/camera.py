"""The sample's light and camera: from a surface to the picture that a camera over a line would take of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.sample.part import SCALE, SIDE, Plane, Surface, clouds


@dataclass(frozen=True)
class Scene:
    """What varies from picture to picture besides the part: lamp, belt, exposure, focus.

    azimuth: where the lamp stands, in radians; spread: how far the shine of turned metal spreads; gain: exposure;
    slope: how much darker the far side is; warmth: red against blue; blur: in pixels; noise: in grey levels;
    stains: how strongly oil films and handling show; dust: how many specks.
    """

    azimuth: float
    spread: float
    gain: float
    slope: float
    warmth: float
    blur: float
    noise: float
    stains: float
    dust: int


def scene_by_chance(random: np.random.Generator, hard: bool = False) -> Scene:
    """A scene of a normal day; a hard one is from the ends of the same ranges."""

    def between(low: float, high: float) -> float:
        share = random.beta(0.3, 0.3) if hard else random.beta(2, 2)
        return float(low + (high - low) * share)

    return Scene(
        azimuth=between(-2.3, -1.5),
        spread=between(0.16, 0.26),
        gain=between(0.88, 1.10),
        slope=between(0.0, 0.22),
        warmth=between(-0.03, 0.03),
        blur=between(0.4, 0.8),
        noise=between(1.2, 2.8),
        stains=between(0.2, 1.0),
        dust=int(between(0, 14)),
    )


def photograph(surface: Surface, scene: Scene, random: np.random.Generator) -> NDArray[np.uint8]:
    """Light the surface and expose it: uint8 BGR (SIDE, SIDE, 3)."""
    metal = _light_metal(surface, scene)
    shape = surface.height.shape
    film = clouds(random, 55, shape) + 0.6 * clouds(random, 18, shape)
    metal = metal * (1 - 0.045 * scene.stains * np.clip(film, -2.5, 2.5))
    metal = metal * (1 + 0.03 * random.standard_normal(shape, dtype=np.float32))  # the grain of the steel
    belt = _light_belt(surface, scene, random)
    outside = surface.outline > 0
    below = np.where(outside, belt, surface.hollow)
    grey = surface.solid * metal + (1 - surface.solid) * below
    tinted = grey[..., None] * _steel_tint(scene, surface) + surface.tint * surface.solid[..., None]
    colour = np.asarray(tinted, dtype=np.float32)
    colour *= (1 - scene.slope * (surface.y / SIDE - 0.5))[..., None] * scene.gain
    _sprinkle(colour, scene.dust, random)
    small = cv2.GaussianBlur(cv2.resize(colour, (SIDE, SIDE), interpolation=cv2.INTER_AREA), (0, 0), scene.blur)
    grey_levels = 255 * np.clip(small, 0, None) ** np.float32(1 / 1.6)
    sigma = scene.noise * (0.5 + np.sqrt(np.clip(grey_levels, 0, 255) / 255))
    noisy = grey_levels + sigma * random.standard_normal(small.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), dtype=np.uint8)


def _light_metal(surface: Surface, scene: Scene) -> Plane:
    """Diffuse light, plus the bow-tie shine of turned metal: facets lie across the feed lines (Ward 1992)."""
    dy, dx = np.gradient(surface.height, np.float32(1 / SCALE))
    theta = surface.angle + surface.pose.angle
    across_x, across_y = np.cos(theta), np.sin(theta)
    nx, ny = -dx + surface.marks * across_x, -dy + surface.marks * across_y
    steep = np.sqrt(1 + nx * nx + ny * ny)
    lamp_x, lamp_y = 0.55 * math.cos(scene.azimuth), 0.55 * math.sin(scene.azimuth)
    diffuse = np.clip((nx * lamp_x + ny * lamp_y + 0.83) / steep, 0, None)
    half_x, half_y = lamp_x / 1.8 - nx / steep, lamp_y / 1.8 - ny / steep
    along = half_x * across_x + half_y * across_y
    over = half_y * across_x - half_x * across_y
    shine = np.exp(-((along / 0.55) ** 2) - (over / scene.spread) ** 2)
    return np.asarray(surface.reflectance * (0.10 + 0.24 * diffuse + 0.42 * shine), dtype=np.float32)


def _light_belt(surface: Surface, scene: Scene, random: np.random.Generator) -> Plane:
    """A woven belt, darker where the part throws its shadow."""
    shift_x, shift_y = random.uniform(0, 8, 2).tolist()
    weave = np.sin((surface.x + shift_x) * 1.25) * np.sin((surface.y + shift_y) * 1.25)
    shape = surface.height.shape
    belt = 0.062 + 0.010 * weave + 0.005 * clouds(random, 30, shape) + 0.006 * clouds(random, 2, shape)
    fall = 9 * SCALE
    moved = np.array(
        [[1, 0, -fall * math.cos(scene.azimuth)], [0, 1, -fall * math.sin(scene.azimuth)]], dtype=np.float32
    )
    part = (surface.outline < 0).astype(np.float32)
    shadow = cv2.warpAffine(part, moved, (shape[1], shape[0]))
    shadow = cv2.GaussianBlur(shadow, (0, 0), 5 * SCALE)
    return np.asarray(belt * (1 - 0.6 * shadow), dtype=np.float32)


def _steel_tint(scene: Scene, surface: Surface) -> NDArray[np.float32]:
    """BGR factors: the lamp's warmth, and belts a little bluer than steel."""
    steel = np.array([1.0 - scene.warmth, 1.0, 1.0 + scene.warmth], dtype=np.float32)
    belt = steel * np.array([1.18, 1.06, 0.95], dtype=np.float32)
    return np.where((surface.outline > 0)[..., None], belt, steel)


def _sprinkle(colour: NDArray[np.float32], specks: int, random: np.random.Generator) -> None:
    """Dust, as any line has it: faint specks of half a pixel to a pixel."""
    for _ in range(specks):
        x, y = random.uniform(0, SIDE * SCALE, 2)
        value = float(random.uniform(0.12, 0.32))
        radius = int(random.uniform(0.4, 0.9) * SCALE * 8)
        cv2.circle(colour, (int(x * 8), int(y * 8)), radius, (value, value, value), -1, cv2.LINE_AA, 3)
