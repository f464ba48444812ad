"""`edge-daemon snap`: one frame, written, and what a person wants to know of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_runtime.commands.camera_target import Target, fresh_frame
from edge_runtime.commands.recording import png_bytes
from edge_runtime.errors import SourceError, StorageError
from edge_runtime.files import Durability, write_file
from edge_runtime.imaging.see import Sight
from edge_runtime.inspection.frame_checks import measure_frame, measurement_fault
from edge_runtime.records import FailedFrame
from edge_runtime.sources.protocol import Source, open_source

FIRST_FRAME_S = 15.0  # a camera on the network is looked for, first


def snap(target: Target, out: Path) -> Iterator[str]:
    """One line for each thing that is known. Raises EdgeError."""
    with open_source(target.source, target.mode) as source:
        frame = fresh_frame(source, FIRST_FRAME_S)
        camera = camera_line(source)
    if frame is None:
        raise SourceError(f"source {target.source.label}: it has no picture")
    if isinstance(frame, FailedFrame):
        raise SourceError(f"source {target.source.label}: ERROR {frame.error:03d} {frame.error.name}: {frame.detail}")
    try:
        write_file(out, png_bytes(frame.image), Durability.ATOMIC)
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror}; choose another place with --out") from error
    look = measure_frame(frame.image)
    sharpness = "too little contrast to tell" if look.sharpness is None else f"{look.sharpness:.3f} (1/16 is blurred)"
    if camera:
        yield f"camera      {camera}"
    yield f"frame       {look.width} x {look.height} {frame.name}".rstrip()
    yield f"brightness  {look.brightness:.0f} of 255 (1 % of the pixels are brighter)"
    yield f"saturated   {look.saturated:.1%} of the pixels"
    yield f"sharpness   {sharpness}"
    if target.viewer is not None:
        yield f"part        {part_text(target.viewer.see(frame.image))}"
    fault = measurement_fault(look, target.limits)
    if fault is None:
        yield "judged      it may be"
    else:
        yield f"judged      no: it would be ERROR {fault.error:03d} {fault.error.name}: {fault.detail}"
    yield f"written     {out}"


def part_text(sight: Sight) -> str:
    """Where the part was found, for people."""
    place = sight.placement
    if place is None:
        return "not found" if sight.quality < 0 else "not looked for: the bundle sees a fixed region"
    where = f"at {place.x:.1f}, {place.y:.1f}, turned by {place.degrees:.1f} degrees"
    return f"found {where}; likeness to good parts {sight.quality:.2f} of 1"


def camera_line(source: Source) -> str:
    """What the camera says of itself: model, format, exposure; empty for files."""
    connection = getattr(source, "connection", None)
    return connection.describe() if connection is not None else ""
