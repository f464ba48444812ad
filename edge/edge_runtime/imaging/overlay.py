"""Drawing a map over its picture, so that the same colour means the same score on every picture: in the host's report
and in the device's evidence alike.

low, high = scale_from_threshold(threshold.map)
image = heat_overlay(picture, anomaly_map, low, high)
image = draw_outline(image, mask)
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

STRONGEST = 0.75  # how much of the hottest colour covers the picture
MASK_COLOUR = (255, 200, 0)  # BGR: a blue that the heat's colours, dark red to pale yellow, do not contain


def scale_from_threshold(map_threshold: float) -> tuple[float, float]:
    """The ends of the colour scale, raw: nothing is drawn below 0.75 of the threshold, and 1.5 times it is hottest.

    The ground of a good picture's map lies well above zero, so that a scale from zero would tint all of it.
    """
    return 0.75 * map_threshold, 1.5 * map_threshold


def heat_overlay(
    picture: NDArray[np.uint8], anomaly_map: NDArray[np.float32], low: float, high: float
) -> NDArray[np.uint8]:
    """The picture, turned grey, with the map's heat over it. A calm map leaves a calm picture.

    picture: uint8 BGR (height, width, 3). anomaly_map: raw, (h, w) of any size; it is interpolated to the picture's.
    Values up to `low` are not drawn, and from `high` on all look the same; between, colour and cover grow linearly.
    Returns uint8 BGR (height, width, 3), owned by the caller. Raises ValueError when high is not above low.
    """
    if not high > low:
        raise ValueError(f"a colour scale needs high above low, got {low} to {high}")
    height, width = picture.shape[:2]
    full = cv2.resize(anomaly_map.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    heat = np.clip((full - low) / (high - low), 0.0, 1.0)
    colour = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    cover = (STRONGEST * heat**0.75)[:, :, None]  # steeper than the heat: what is just above the threshold is seen
    return np.asarray(np.rint(grey * (1 - cover) + colour * cover), dtype=np.uint8)


def draw_outline(
    picture: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int] = MASK_COLOUR
) -> NDArray[np.uint8]:
    """A copy of the picture with the outline around a mask's regions, dark-edged so that it shows on any ground.

    picture: uint8 BGR (height, width, 3). mask: bool (h, w) of any size; it is brought to the picture's.
    """
    height, width = picture.shape[:2]
    full = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    grown = {n: cv2.dilate(full, np.ones((n, n), np.uint8)).astype(bool) for n in (3, 5, 7)}
    drawn: NDArray[np.uint8] = picture.copy()
    drawn[grown[7] & ~full.astype(bool)] = 0  # a dark pixel on both sides of the coloured one
    drawn[grown[5] & ~grown[3]] = colour
    return drawn


def fit(picture: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """The picture, uint8 (height, width, channels), made so small that no side is above `longest` pixels."""
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
