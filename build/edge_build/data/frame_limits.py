"""Which frames a bundle takes: those that look like its good pictures. A device judges no others (frame_checks.py).

    limits = limits_of_good(dataset.good, progress)  # in a build
    limits, notes = limits_of_line(dataset.good, bundle, progress)  # of a recalibrated bundle

The new good pictures of a recalibrated bundle come from the camera that serves, so its size, light and focus count, and
no longer those of the pictures that were learned from (docs/decisions/0015). Two kinds of pictures are refused before
that: of another shape, because `preprocess` would squeeze the parts, and a few that the old limits refuse while they
take the others: these are bad pictures, not another camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from edge_build.data.pictures import DatasetError, Picture, problem_lines
from edge_build.progress import Progress
from edge_runtime.bundle.manifest import FrameLimits
from edge_runtime.bundle.reader import Bundle
from edge_runtime.errors import PictureError
from edge_runtime.imaging.reader import read_picture
from edge_runtime.inspection.frame_checks import (
    limits_from_good,
    measure_frame,
    measurement_fault,
    sizes_from_good,
    sizes_text,
)
from edge_runtime.records import FrameMeasurement

ANOTHER_CAMERA = 0.5  # when more than this share is beyond the old limits


def limits_of_good(pictures: Sequence[Picture], progress: Progress) -> FrameLimits:
    """Measure all good pictures and say what frames must look like. Raises DatasetError for one that went away."""
    limits = limits_from_good(_measured(pictures, progress))
    progress.say(f"frames: {limits_text(limits)}")
    return limits


def limits_of_line(
    pictures: Sequence[Picture], bundle: Bundle, progress: Progress
) -> tuple[FrameLimits, tuple[str, ...]]:
    """The limits, and what the user must know of them. Raises DatasetError that names every picture that is refused."""
    measurements, before = _measured(pictures, progress), bundle.manifest.frames
    limits = limits_from_good(measurements)
    notes: tuple[str, ...] = ()
    if before is not None:
        _refuse_other_shapes(pictures, measurements, before, bundle.label)
        notes = _beyond(pictures, measurements, before, bundle.label)
    return limits, notes


def limits_text(limits: FrameLimits) -> str:
    """In words."""
    size = f"{sizes_text(limits.sizes) if limits.sizes else f'{limits.width} x {limits.height}'} pixels"
    return (
        f"{size}; at least {limits.brightness_low:.0f} bright, at most {limits.saturated_high:.0%} white, "
        f"sharpness at least {limits.sharpness_low:.3f}"
    )


def _measured(pictures: Sequence[Picture], progress: Progress) -> list[FrameMeasurement]:
    """Each picture as it is, before any resize. Raises DatasetError for one that went away."""
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(lambda path: measure_frame(read_picture(path)), picture.path) for picture in pictures]
        try:
            return [future.result() for future in progress.track("frame limits", futures)]
        except PictureError as error:
            raise DatasetError(str(error)) from error


def _refuse_other_shapes(
    pictures: Sequence[Picture], measurements: Sequence[FrameMeasurement], before: FrameLimits, label: str
) -> None:
    sizes = before.sizes
    if before.height is not None and before.width is not None:
        sizes = sizes_from_good([(before.height, before.width)])
    if sizes is None:
        return
    others = [
        f"{picture.path}: {frame.width} x {frame.height} pixels, width / height {frame.width / frame.height:.3f}"
        for picture, frame in zip(pictures, measurements, strict=True)
        if not sizes.ratio_low <= frame.width / frame.height <= sizes.ratio_high
    ]
    if others:
        raise DatasetError(
            f"{len(others)} of {len(pictures)} pictures have another shape than those that {label} learned from (width "
            f"/ height {sizes.ratio_low:.3f} to {sizes.ratio_high:.3f}), so its model would see squeezed parts:\n"
            f"{problem_lines(others)}\nset the camera's region to the old shape, or build a new bundle from such "
            "pictures"
        )


def _beyond(
    pictures: Sequence[Picture], measurements: Sequence[FrameMeasurement], before: FrameLimits, label: str
) -> tuple[str, ...]:
    """A note when the camera is another one. Raises DatasetError for a few pictures beyond the limits."""
    faults = [
        (picture, fault)
        for picture, frame in zip(pictures, measurements, strict=True)
        if (fault := measurement_fault(frame, before))
    ]
    if not faults:
        return ()
    if len(faults) <= ANOTHER_CAMERA * len(pictures):
        lines = [f"{picture.path}: ERROR {fault.error:03d}, {fault.detail}" for picture, fault in faults]
        raise DatasetError(
            f"{len(faults)} of {len(pictures)} pictures are no good pictures by the limits of frames of {label}, which "
            f"takes the others; a line answers ERROR for them:\n{problem_lines(lines)}\ntake them away, or after a "
            "change of camera, lens or light give only pictures taken since"
        )
    codes = ", ".join(sorted({f"{fault.error:03d}" for _, fault in faults}))
    return (
        f"{len(faults)} of {len(pictures)} pictures are beyond the limits of frames of {label} (ERROR {codes}): "
        "camera, lens or light are others now; the new limits are those of these pictures",
    )
