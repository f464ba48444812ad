"""From a frame to the model's picture: the one way for training, calibration, evaluation, golden frames and the daemon.

    viewer = FrameViewer(view)
    sight = viewer.see(frame.image)
    sight.picture  # uint8 BGR (H, W, 3)
    sight.to_frame @ [u, v, 1]  # where its pixel (u, v) lies in the frame

The last step of a `fixed` view is `preprocess`; without a region its pixels are those of bundles without a view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.imaging.geometry import Matrix, Placement, joined, points_in, scaled
from edge_runtime.imaging.pose.locate import PartFinder, outside
from edge_runtime.imaging.pose.ring import Strip, unwrapped
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.imaging.pyramid import Pyramid
from edge_runtime.imaging.view import Box, View, whole_frame


@dataclass(frozen=True)
class Sight:
    """What the model sees of a frame, and where that lies.

    picture: uint8 BGR (H, W, 3), owned by the caller. to_frame: from its pixels to the frame's; of a strip, from the
    unwrapped part's own plane. quality: of the match with good parts, -1 to 1; 1 for `fixed`. placement: the part's
    origin and angle in the frame; None for `fixed`, and where nothing was found (quality -1). outside: how far the
    part's box lies beyond the frame's edge, in pixels. second: the area of the largest other thing, as a share of the
    part's.
    """

    picture: NDArray[np.uint8]
    to_frame: Matrix
    quality: float = 1.0
    placement: Placement | None = None
    outside: float = 0.0
    second: float = 0.0
    strip: Strip | None = None


class FrameViewer:
    """A view with all that can be computed before the first frame. Holds no state between frames."""

    def __init__(self, view: View) -> None:
        self._view = view
        record = view.record
        self._finder = None
        if record is not None and record.locator is not None and view.coarse is not None and view.fine is not None:
            self._finder = PartFinder(record.pose, record.locator, view.coarse, view.fine)

    @property
    def view(self) -> View:
        """What it sees."""
        return self._view

    @property
    def height(self) -> int:
        """Of the model's picture."""
        return self._view.height

    @property
    def width(self) -> int:
        """Of the model's picture."""
        return self._view.width

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the model's picture."""
        return self.height, self.width

    def see(self, image: NDArray[np.uint8]) -> Sight:
        """image: uint8 BGR (h, w, 3). Raises ValueError for anything else.

        Where the part is not found, the picture shows the part's box at its usual place.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise ValueError(f"expected a uint8 picture (height, width, 3), got {image.dtype} {image.shape}")
        left, top, region = self._region_of(image)
        record = self._view.record
        if self._finder is None or record is None or record.locator is None or record.box is None:
            picture = preprocess(region, self.height, self.width)[0]
            x, y = region.shape[1] / self.width, region.shape[0] / self.height
            return Sight(picture, scaled(x, y, left, top))
        pyramid = Pyramid(region)
        found = self._finder.find(pyramid)
        place = Placement(*record.locator.usual) if found is None else found.placement
        in_frame = Placement(place.x + left, place.y + top, place.cos, place.sin)
        beyond = outside(in_frame, record.locator.outline, *image.shape[:2])
        moved = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
        if record.ring is not None:
            strip = Strip.of(record.ring, self.height, self.width)
            picture, to_frame = unwrapped(pyramid, place, strip), joined(moved, place.matrix())
        else:
            strip = None
            to_region = joined(place.matrix(), self.box_matrix(record.box))
            picture, to_frame = pyramid.sampled(to_region, *self.size), joined(moved, to_region)
        if found is None:
            return Sight(picture, to_frame, quality=-1.0, strip=strip)
        return Sight(picture, to_frame, found.quality, in_frame, beyond, found.second, strip)

    def box_matrix(self, box: Box) -> Matrix:
        """From the model's pixels to the part's coordinates."""
        across, down = box.width / self.width, box.height / self.height
        return np.array([[across, 0.0, box.x + across / 2], [0.0, down, box.y + down / 2]])

    def part_points(self) -> NDArray[np.float64]:
        """Where every pixel of the model's picture lies on the part: x, y in its coordinates (H, W, 2).

        Raises ValueError for a view that looks for no part.
        """
        record = self._view.record
        if record is None or record.box is None:
            raise ValueError("a view that looks for no part knows no places on it")
        columns, rows = np.meshgrid(np.arange(self.width), np.arange(self.height))
        pixels = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64)
        if record.ring is not None:
            on_part = Strip.of(record.ring, self.height, self.width).on_part(pixels)
        else:
            on_part = points_in(self.box_matrix(record.box), pixels)
        return on_part.reshape(self.height, self.width, 2)

    def _region_of(self, image: NDArray[np.uint8]) -> tuple[int, int, NDArray[np.uint8]]:
        """Left, top and pixels of the region; in a frame of another size, of the same share of it."""
        record = self._view.record
        if record is None or record.region is None:
            return 0, 0, image
        x, y, width, height = record.region
        high, wide = image.shape[0] / record.frame[0], image.shape[1] / record.frame[1]
        left, top = min(round(x * wide), image.shape[1] - 1), min(round(y * high), image.shape[0] - 1)
        right, bottom = max(left + 1, round((x + width) * wide)), max(top + 1, round((y + height) * high))
        return left, top, image[top:bottom, left:right]


def whole_frame_viewer(height: int, width: int) -> FrameViewer:
    """What bundles without a view see with."""
    return FrameViewer(whole_frame(height, width))
