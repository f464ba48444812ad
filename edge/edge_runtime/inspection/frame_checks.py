"""What a frame looks like, and what it must look like to be judged. Host and device measure with the same function.

A frame is looked at in up to 8 x 8 tiles of 32 x 32 pixels in full resolution, evenly spread: 65,536 pixels whatever
the camera's size. All figures are quantiles and means of many pixels, so a hot pixel moves none of them.

A size is right when it is the good pictures' own; where these had several, it lies between them or a bit beyond. Every
frame is resized to the model's size, so one of another shape shows stretched parts, and one that is smaller shows
less of them. A turned frame has a side or a ratio that no good picture had.

    limits = limits_from_good([measure_frame(image) for image in good_pictures])      # edge-build, into the manifest
    fault = frame_fault(frame.image, limits)                                    # the device, for each frame
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle.manifest import FrameLimits, SizeRange
from edge_runtime.records import ErrorCode, FrameFault, FrameMeasurement

TILES, TILE = 8, 32
NEARLY_WHITE = 252
LAG = 4  # pixels of the halved tile
BLURRED = 1 / LAG**2  # the sharpness of what changes evenly over these pixels
FLAT = 1.0  # mean square difference in grey values: below it there is nothing to be in focus

SIZE_MARGIN = 0.05  # of a side and of width / height (docs/explanation/results.md, "Which frames are refused")

FIXED_LIMITS = FrameLimits()  # for bundles that have none

_Grey = NDArray[np.uint8] | NDArray[np.float32]


def measure_frame(image: NDArray[np.uint8]) -> FrameMeasurement:
    """Measure a frame, uint8 BGR (height, width, 3)."""
    sample = _tiles(image)
    number, rows, columns, _ = sample.shape
    grey = cv2.cvtColor(sample.reshape(number * rows, columns, 3), cv2.COLOR_BGR2GRAY)
    counts = np.cumsum(cv2.calcHist([grey], [0], None, [256], [0, 256]))
    return FrameMeasurement(
        height=image.shape[0],
        width=image.shape[1],
        brightness=float(np.searchsorted(counts, 0.99 * counts[-1])),
        saturated=np.count_nonzero(sample >= NEARLY_WHITE) / sample.size,
        sharpness=_sharpness(np.asarray(grey, np.uint8), number, rows, columns),
    )


def frame_fault(image: NDArray[np.uint8], limits: FrameLimits = FIXED_LIMITS) -> FrameFault | None:
    """Why a frame must not be judged, or None."""
    return format_fault(image) or measurement_fault(measure_frame(image), limits)


def format_fault(image: NDArray[np.uint8]) -> FrameFault | None:
    """Why a frame cannot even be measured, or None."""
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and 0 not in image.shape:
        return None
    found = f"the frame is {image.dtype} {image.shape}, not uint8 (height, width, 3)"
    return FrameFault(ErrorCode.FRAME_WRONG_FORMAT, found)


def measurement_fault(measurement: FrameMeasurement, limits: FrameLimits) -> FrameFault | None:
    """Why a frame that looks like this must not be judged, or None."""
    if problem := size_problem(measurement.height, measurement.width, limits):
        return FrameFault(
            ErrorCode.FRAME_WRONG_SIZE,
            f"{problem}: check the camera's region and binning, or set health.size to false",
        )
    if measurement.brightness < limits.brightness_low:
        return FrameFault(
            ErrorCode.FRAME_BLACK,
            f"at most 1 % of the pixels are brighter than {measurement.brightness:.0f} (limit "
            f"{limits.brightness_low:.0f}, white is 255): check light, lens cap and exposure",
        )
    if measurement.saturated > limits.saturated_high:
        return FrameFault(
            ErrorCode.FRAME_SATURATED,
            f"{measurement.saturated:.1%} of the frame is white (limit {limits.saturated_high:.1%}): check exposure "
            "and light",
        )
    if measurement.sharpness is not None and measurement.sharpness < limits.sharpness_low:
        return FrameFault(
            ErrorCode.FRAME_OUT_OF_FOCUS,
            f"the sharpness is {measurement.sharpness:.3f} (limit {limits.sharpness_low:.3f}): check lens, distance, "
            "vibration and dirt",
        )
    return None


def limits_from_good(measurements: Sequence[FrameMeasurement]) -> FrameLimits:
    """What frames must look like, from good pictures: half the way, or more, from the worst of them to a useless frame.

    A third of the lowest brightness; half the way to all white; half the way to fully blurred. Their size when all have
    the same, otherwise `sizes_from_good`.
    """
    sizes = sorted({(measurement.height, measurement.width) for measurement in measurements})
    height, width = sizes[0] if len(sizes) == 1 else (None, None)
    sharpest = [measurement.sharpness for measurement in measurements if measurement.sharpness is not None]
    lowest = min(sharpest, default=0.0)
    return FrameLimits(
        pictures=len(measurements),
        height=height,
        width=width,
        sizes=sizes_from_good(sizes) if len(sizes) > 1 else None,
        brightness_low=max(
            FIXED_LIMITS.brightness_low, min(measurement.brightness for measurement in measurements) / 3
        ),
        saturated_high=(1 + max(measurement.saturated for measurement in measurements)) / 2,
        sharpness_low=(lowest + BLURRED) / 2 if lowest > BLURRED else 0.0,
    )


def sizes_from_good(sizes: Sequence[tuple[int, int]]) -> SizeRange:
    """From the smallest to the largest of all (height, width), and of their ratios, with the margin on both ends."""
    heights, widths = [height for height, _ in sizes], [width for _, width in sizes]
    ratios = [width / height for height, width in sizes]
    less, more = 1 - SIZE_MARGIN, 1 + SIZE_MARGIN
    return SizeRange(
        height_low=math.ceil(min(heights) * less),
        height_high=math.floor(max(heights) * more),
        width_low=math.ceil(min(widths) * less),
        width_high=math.floor(max(widths) * more),
        ratio_low=min(ratios) * less,
        ratio_high=max(ratios) * more,
    )


def size_problem(height: int, width: int, limits: FrameLimits) -> str | None:
    """What was found and what is allowed, or None for a frame that may be judged."""
    wanted = (limits.height or height, limits.width or width)
    if (height, width) != wanted:
        return f"the frame is {width} x {height} pixels, the good pictures were {wanted[1]} x {wanted[0]}"
    sizes = limits.sizes
    if sizes is None or _within(height, width, sizes):
        return None
    return (
        f"the frame is {width} x {height} pixels (width / height {width / height:.3f}), allowed are {sizes_text(sizes)}"
    )


def sizes_text(sizes: SizeRange) -> str:
    """For people, as width x height."""
    return (
        f"{sizes.width_low} to {sizes.width_high} x {sizes.height_low} to {sizes.height_high} "
        f"(width / height {sizes.ratio_low:.3f} to {sizes.ratio_high:.3f})"
    )


def _tiles(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Evenly spread tiles of a frame, (tiles, rows, columns, 3), contiguous."""
    height, width = image.shape[:2]
    down, across = (min(TILES, max(1, side // TILE)) for side in (height, width))
    high, wide = height // down, width // across
    rows, columns = min(TILE, high), min(TILE, wide)
    top, left = (high - rows) // 2, (wide - columns) // 2
    cells = image[: high * down, : wide * across].reshape(down, high, across, wide, 3)
    tiles = cells[:, top : top + rows, :, left : left + columns].transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(tiles).reshape(down * across, rows, columns, 3)


def _sharpness(grey: NDArray[np.uint8], number: int, rows: int, columns: int) -> float | None:
    """How much neighbouring pixels differ, against pixels LAG apart: mean squares, in tiles halved in size.

    grey: the tiles, one below the other, (number * rows, columns). The larger, the sharper; BLURRED for what changes
    evenly. It depends neither on brightness nor on contrast, nor on noise: noise differs by the same amount at any
    distance, and a quarter of the difference between neighbours in full size is as large for noise as the difference in
    halved tiles, so it is taken off both.
    """
    if min(rows, columns) < 4 * LAG or rows % 2 or columns % 2:
        return None
    half = cv2.resize(grey.astype(np.float32), (columns // 2, number * rows // 2), interpolation=cv2.INTER_AREA)
    halved = np.asarray(half, np.float32).reshape(number, rows // 2, columns // 2)
    fine = _difference(grey.reshape(number, rows, columns), 1) / 4
    far = _difference(halved, LAG) - fine
    if far < max(FLAT, fine / 4):  # hardly anything but noise
        return None
    return max(0.0, (_difference(halved, 1) - fine) / far)


def _difference(tiles: _Grey, lag: int) -> float:
    """The mean square difference of pixels `lag` apart, along rows and along columns, within (tiles, rows, columns)."""
    number, rows, columns = tiles.shape
    beside, below = tiles.reshape(number * rows, columns), tiles.reshape(number, rows * columns)
    return _mean_square(beside[:, lag:], beside[:, :-lag]) + _mean_square(
        below[:, lag * columns :], below[:, : -lag * columns]
    )


def _mean_square(one: _Grey, other: _Grey) -> float:
    return cv2.norm(one, other, cv2.NORM_L2SQR) / one.size


def _within(height: int, width: int, sizes: SizeRange) -> bool:
    return (
        sizes.height_low <= height <= sizes.height_high
        and sizes.width_low <= width <= sizes.width_high
        and sizes.ratio_low <= width / height <= sizes.ratio_high
    )
