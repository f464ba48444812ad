"""`edge-daemon cameras`: what can be reached from this machine, and what to write into a station's file for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_runtime.errors import ConfigError, SourceError
from edge_runtime.sources.aravis_binding import FoundCamera, list_cameras, open_camera, translated
from edge_runtime.sources.gst_binding import list_video
from edge_runtime.sources.pixel_formats import is_known

CSI_DAEMON = Path("/usr/sbin/nvargus-daemon")


def camera_lines() -> Iterator[str]:
    """A few lines for each camera; a line for each kind that cannot be looked for, with what to install."""
    found = 0
    try:
        for camera in list_cameras():
            found += 1
            yield from _genicam_lines(camera)
    except ConfigError as error:
        yield f"GigE and USB3 Vision: not looked for: {error}"
    try:
        for video in list_video():
            found += 1
            uri = f"v4l2://{video.device}" if video.device else "gst://..."
            yield f"{uri}  {video.name}"
            yield f"    {video.formats}"
    except ConfigError as error:
        yield f"V4L2: not looked for: {error}"
    if CSI_DAEMON.exists():
        found += 1
        yield "csi://0  a CSI camera, if one is plugged in (nvargus-daemon is here)"
    if not found:
        yield "no camera answers: check power and cable; docs/how-to/connect-a-camera.md goes through it step by step"


def first_camera() -> str:
    """The URI of the first GigE or USB3 Vision camera, otherwise of the first V4L2 one. Raises SourceError."""
    try:
        for camera in list_cameras():
            return f"aravis://{camera.serial or camera.address}"
    except ConfigError:  # then by GStreamer
        pass
    for video in list_video():
        if video.device:
            return f"v4l2://{video.device}"
    raise SourceError("no camera answers: check power and cable, and run `edge-daemon cameras`")


def _genicam_lines(camera: FoundCamera) -> Iterator[str]:
    uri = f"aravis://{camera.serial or camera.address}"
    yield f"{uri}  {camera.vendor} {camera.model}, {camera.protocol}, {camera.address}"
    try:
        with translated("it does not say what it has"):
            opened = open_camera(camera.device_id)
            sensor, region = opened.get_sensor_size(), opened.get_region()
            formats = opened.dup_available_pixel_formats_as_strings()
            now = opened.get_pixel_format_as_string()
    except SourceError as error:
        yield f"    {error}"
        return
    yield f"    sensor {sensor.width} x {sensor.height}, region {region.width} x {region.height}, {now}"
    yield f"    formats {', '.join(filter(is_known, formats))}"
