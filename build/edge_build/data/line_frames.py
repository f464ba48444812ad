"""Which frames a calibrated bundle takes: as in a build, what its new good pictures look like (docs/decisions/0015).

    limits, notes = limits_of_line(dataset.good, bundle, progress)

They come from the camera that serves, so its size, light and focus count, and no longer those of the pictures that
were learned from. Two kinds of pictures are refused before that: of another shape, because `preprocess` would squeeze
the parts, and a few that the old limits refuse while they take the others: these are bad pictures, not another camera.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_build.data.frame_limits import looks_of_good
from edge_build.data.pictures import DatasetError, Picture, problem_lines
from edge_build.progress import Progress
from edge_runtime.bundle.manifest import FrameLimits
from edge_runtime.bundle.reader import Bundle
from edge_runtime.inspection.frame_checks import FrameMeasurement, fault_of_look, limits_from_good
from edge_runtime.inspection.frame_size import sizes_from_good

ANOTHER_CAMERA = 0.5  # when more than this share is beyond the old limits


def limits_of_line(
    pictures: Sequence[Picture], bundle: Bundle, progress: Progress
) -> tuple[FrameLimits, tuple[str, ...]]:
    """The limits, and what the user must know of them. Raises DatasetError that names every picture that is refused."""
    looks, before = looks_of_good(pictures, progress), bundle.manifest.frames
    limits = limits_from_good(looks)
    notes: tuple[str, ...] = ()
    if before is not None:
        _refuse_other_shapes(pictures, looks, before, bundle.label)
        notes = _beyond(pictures, looks, before, bundle.label)
    return limits, notes


def _refuse_other_shapes(
    pictures: Sequence[Picture], looks: Sequence[FrameMeasurement], before: FrameLimits, label: str
) -> None:
    sizes = before.sizes
    if before.height is not None and before.width is not None:
        sizes = sizes_from_good([(before.height, before.width)])
    if sizes is None:
        return
    others = [
        f"{picture.path}: {look.width} x {look.height} pixels, width / height {look.width / look.height:.3f}"
        for picture, look in zip(pictures, looks, strict=True)
        if not sizes.ratio_low <= look.width / look.height <= sizes.ratio_high
    ]
    if others:
        raise DatasetError(
            f"{len(others)} of {len(pictures)} pictures have another shape than those that {label} learned from (width "
            f"/ height {sizes.ratio_low:.3f} to {sizes.ratio_high:.3f}), so its model would see squeezed parts:\n"
            f"{problem_lines(others)}\nset the camera's region to the old shape, or build a new bundle from such "
            "pictures"
        )


def _beyond(
    pictures: Sequence[Picture], looks: Sequence[FrameMeasurement], before: FrameLimits, label: str
) -> tuple[str, ...]:
    """A note when the camera is another one. Raises DatasetError for a few pictures beyond the limits."""
    faults = [(p, fault) for p, look in zip(pictures, looks, strict=True) if (fault := fault_of_look(look, before))]
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
