"""What a view shows of a frame, drawn and said for people.

picture = outlined(frame, viewer.see(frame))
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.imaging.carry import points_in_frame
from edge_runtime.imaging.see import Sight

GREEN = (60, 200, 60)


def outline_in_frame(sight: Sight) -> NDArray[np.float64]:
    """A closed line around what the model's picture shows of a frame: x, y in its pixels (n, 2)."""
    height, width = sight.picture.shape[:2]
    right, bottom = width - 0.5, height - 0.5
    corners = np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])
    if sight.strip is not None:
        turns = np.linspace(-0.5, right, 90)
        corners = np.stack([turns, np.full(90, -0.5)], axis=1)
    return points_in_frame(sight, corners)


def outlined(image: NDArray[np.uint8], sight: Sight) -> NDArray[np.uint8]:
    """A copy of a frame with a line around what the model's picture shows of it."""
    drawn = np.array(image, np.uint8)
    points = [np.rint(outline_in_frame(sight)).astype(np.int32)]
    cv2.polylines(drawn, points, True, GREEN, max(2, max(image.shape[:2]) // 200), cv2.LINE_AA)
    return drawn


def pose_text(sight: Sight) -> str:
    """Where the part was found, for people; empty where it is not looked for."""
    place = sight.placement
    if place is not None:
        return f"x {place.x:.0f}, y {place.y:.0f}, {place.degrees:.1f} degrees, match {sight.quality:.3f}"
    return "no part found" if sight.quality < 0 else ""
