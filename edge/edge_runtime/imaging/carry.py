"""What was found in a view, carried back to the frame: points, maps, and masks the other way.

in_frame = map_in_frame(inspection.anomaly_map, sight, frame.image.shape[:2], grid)
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.imaging.geometry import inverse, joined, points_in, scaled
from edge_runtime.imaging.see import Sight
from edge_runtime.imaging.view import View


def points_in_frame(sight: Sight, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Points of the picture (n, 2) as x, y, in pixels of the frame."""
    on_part = points if sight.strip is None else sight.strip.on_part(points)
    return points_in(sight.to_frame, on_part)


def frame_grid(view: View) -> tuple[int, int]:
    """Height and width of a map of the whole frame with about as many pixels as the model's picture."""
    record = view.record
    if record is None or _shows_all(view):
        return view.height, view.width
    height, width = record.frame
    share = math.sqrt(view.height * view.width / (height * width))
    return max(1, round(height * share)), max(1, round(width * share))


def map_in_frame(
    anomaly_map: NDArray[np.float32], sight: Sight, frame: tuple[int, int], grid: tuple[int, int]
) -> NDArray[np.float32]:
    """A map of the picture, float32 (H, W), on a grid (h, w) over the whole frame (height, width); 0 where the picture
    does not reach. The map itself where the picture shows the whole frame on that grid."""
    from_frame, grid_to_frame = inverse(sight.to_frame), scaled(frame[1] / grid[1], frame[0] / grid[0])
    if sight.strip is None:
        to_picture = joined(from_frame, grid_to_frame)
        if anomaly_map.shape == grid and np.allclose(to_picture, np.eye(2, 3), atol=1e-6):
            return anomaly_map
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(anomaly_map, to_picture, grid[::-1], flags=flags), np.float32)
    on_part = points_in(joined(from_frame, grid_to_frame), _pixels(*grid))
    places = sight.strip.from_part(on_part).astype(np.float32).reshape(*grid, 2)
    again = places + np.array([2 * math.pi / sight.strip.per_column, 0], np.float32)  # where the strip's ends overlap
    return np.maximum(*(_looked_up(anomaly_map, where, cv2.INTER_LINEAR) for where in (places, again)))


def mask_in_view(mask: NDArray[np.bool_], sight: Sight) -> NDArray[np.bool_]:
    """Where a mask of the frame (height, width) lies in the picture, bool (H, W), by nearest neighbour."""
    height, width = sight.picture.shape[:2]
    places = points_in_frame(sight, _pixels(height, width)).astype(np.float32).reshape(height, width, 2)
    return _looked_up(mask.astype(np.float32), places, cv2.INTER_NEAREST) > 0


def _pixels(height: int, width: int) -> NDArray[np.float64]:
    """All pixels of a picture as x, y: (height * width, 2)."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64)


def _looked_up(values: NDArray[np.float32], places: NDArray[np.float32], interpolation: int) -> NDArray[np.float32]:
    """Values at places (h, w, 2) as x, y; 0 beyond their border."""
    x, y = np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])
    return np.asarray(cv2.remap(values, x, y, interpolation, borderMode=cv2.BORDER_CONSTANT), np.float32)


def _shows_all(view: View) -> bool:
    return view.record is not None and view.record.pose == "fixed" and view.record.region is None
