"""What good pictures look like, so that the device knows a frame that must not be judged (inspection/frame_checks).

limits = limits_of_good(dataset.good, progress)
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from edge_build.data.pictures import DatasetError, Picture
from edge_build.progress import Progress
from edge_runtime.bundle.manifest import FrameLimits
from edge_runtime.errors import PictureError
from edge_runtime.imaging.reader import read_picture
from edge_runtime.inspection.frame_checks import FrameMeasurement, limits_from_good, measure_frame
from edge_runtime.inspection.frame_size import sizes_text


def limits_of_good(pictures: Sequence[Picture], progress: Progress) -> FrameLimits:
    """Measure all good pictures and say what frames must look like. Raises DatasetError for one that went away."""
    limits = limits_from_good(looks_of_good(pictures, progress))
    progress.say(f"frames: {limits_text(limits)}")
    return limits


def looks_of_good(pictures: Sequence[Picture], progress: Progress) -> list[FrameMeasurement]:
    """What each looks like as it is, before any resize. Raises DatasetError for one that went away."""

    def look(picture: Picture) -> FrameMeasurement:
        return measure_frame(read_picture(picture.path))

    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(look, picture) for picture in pictures]
        try:
            return [future.result() for future in progress.track("frame limits", futures)]
        except PictureError as error:
            raise DatasetError(str(error)) from error


def limits_text(limits: FrameLimits) -> str:
    """In words."""
    size = f"{sizes_text(limits.sizes) if limits.sizes else f'{limits.width} x {limits.height}'} pixels"
    return (
        f"{size}; at least {limits.brightness_low:.0f} bright, at most {limits.saturated_high:.0%} white, "
        f"sharpness at least {limits.sharpness_low:.3f}"
    )
