"""A GenICam camera's settings: written as the station's file says, read back, and compared.

Written again with every connection, for a camera that lost its power has forgotten them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from edge_runtime.errors import SourceError
from edge_runtime.sources.aravis_binding import translated
from edge_runtime.sources.pixel_formats import is_known
from edge_runtime.sources.settings import CameraSettings

log = logging.getLogger(__name__)

CLOSE_ENOUGH = 0.02  # cameras round exposure and gain to steps of their own


@dataclass(frozen=True)
class CameraState:
    """What a camera says of itself after the settings were written."""

    vendor: str
    model: str
    serial: str
    width: int
    height: int
    pixel_format: str
    exposure_us: float | None
    gain_db: float | None
    packet_size: int | None
    turned: bool  # by 180 degrees, by the camera

    def __str__(self) -> str:
        exposure = "" if self.exposure_us is None else f", exposure {self.exposure_us:.0f} us"
        gain = "" if self.gain_db is None else f", gain {self.gain_db:.1f}"
        packets = "" if self.packet_size is None else f", packets of {self.packet_size} bytes"
        return (
            f"{self.vendor} {self.model} {self.serial}, {self.width} x {self.height} {self.pixel_format}"
            f"{exposure}{gain}{packets}"
        )


def write_features(camera: Any, settings: CameraSettings, fps: float | None) -> CameraState:
    """Write all settings and say how the camera is then. Raises SourceError, CameraLostError."""
    with translated("the camera refuses acquisition mode Continuous"):
        if camera.is_feature_available("AcquisitionMode"):
            camera.set_string("AcquisitionMode", "Continuous")
    if settings.pixel_format is not None:
        _write_pixel_format(camera, settings.pixel_format)
    if settings.width is not None and settings.height is not None:
        region = (settings.offset_x, settings.offset_y, settings.width, settings.height)
        with translated(f"the camera refuses the region {settings.width} x {settings.height}"):
            camera.set_region(*region)
            found = camera.get_region()
        if (found.x, found.y, found.width, found.height) != region:
            raise SourceError(
                f"the camera makes {found.width} x {found.height} at {found.x}, {found.y} of camera.width x height "
                f"{settings.width} x {settings.height} at {settings.offset_x}, {settings.offset_y}: "
                "give what its steps allow"
            )
    for name, value in settings.features.items():
        _write_feature(camera, name, value)
    exposure_us = _write_exposure(camera, settings.exposure_us)
    gain_db = _write_gain(camera, settings.gain_db)
    if fps is not None:
        with translated(f"the camera refuses {fps:g} frames a second"):
            if camera.is_frame_rate_available():
                camera.set_frame_rate(fps)
    turned = settings.rotate == 180 and _turn(camera)
    packet_size = _write_packet_size(camera, settings.packet_size)
    with translated("the camera does not say how it is"):
        region, pixel_format = camera.get_region(), camera.get_pixel_format_as_string()
        if not is_known(pixel_format):
            there = ", ".join(filter(is_known, camera.dup_available_pixel_formats_as_strings()))
            raise SourceError(f"the camera sends {pixel_format}, which is not known here: set pixel_format to {there}")
        return CameraState(
            vendor=camera.get_vendor_name() or "",
            model=camera.get_model_name() or "",
            serial=camera.get_device_serial_number() or "",
            width=region.width,
            height=region.height,
            pixel_format=pixel_format,
            exposure_us=exposure_us,
            gain_db=gain_db,
            packet_size=packet_size,
            turned=turned,
        )


def _write_pixel_format(camera: Any, wanted: str) -> None:
    with translated("the camera does not say which pixel formats it has"):
        there = list(camera.dup_available_pixel_formats_as_strings())
    if wanted not in there:
        raise SourceError(f"the camera has no pixel_format {wanted}: it has {', '.join(filter(is_known, there))}")
    with translated(f"the camera refuses pixel_format {wanted}"):
        camera.set_pixel_format_from_string(wanted)


def _write_feature(camera: Any, name: str, value: str | float | bool) -> None:
    with translated(f"camera.features: the camera refuses {name}: {value}"):
        if not camera.is_feature_available(name):
            raise SourceError(f"camera.features: this camera has no feature {name} now: check its name and the manual")
        if isinstance(value, bool):
            camera.set_boolean(name, value)
        elif isinstance(value, int):
            camera.set_integer(name, value)
        elif isinstance(value, float):
            camera.set_float(name, value)
        else:
            camera.set_string(name, value)


def _write_exposure(camera: Any, wanted_us: float | None) -> float | None:
    with translated(f"the camera refuses exposure_us {wanted_us}"):
        if not camera.is_exposure_time_available():
            _check_unwanted("exposure_us", wanted_us)
            return None
        if wanted_us is not None:
            if camera.is_exposure_auto_available():
                camera.set_string("ExposureAuto", "Off")
            camera.set_exposure_time(wanted_us)
        found = float(camera.get_exposure_time())
    return _compared("exposure_us", wanted_us, found)


def _write_gain(camera: Any, wanted_db: float | None) -> float | None:
    with translated(f"the camera refuses gain_db {wanted_db}"):
        if not camera.is_gain_available():
            _check_unwanted("gain_db", wanted_db)
            return None
        if wanted_db is not None:
            if camera.is_gain_auto_available():
                camera.set_string("GainAuto", "Off")
            camera.set_gain(wanted_db)
        found = float(camera.get_gain())
    return _compared("gain_db", wanted_db, found)


def _check_unwanted(name: str, wanted: float | None) -> None:
    if wanted is not None:
        raise SourceError(f"camera.{name} {wanted:g}: this camera does not let it be set; leave it out")


def _compared(name: str, wanted: float | None, found: float) -> float:
    if wanted is not None and abs(found - wanted) > CLOSE_ENOUGH * max(wanted, 1.0):
        log.warning("camera.%s: %g was written, the camera says %g", name, wanted, found)
    return found


def _turn(camera: Any) -> bool:
    """By the camera, if it can; otherwise the picture is turned here."""
    with translated("the camera refuses to turn its picture (ReverseX, ReverseY)"):
        if not (camera.is_feature_available("ReverseX") and camera.is_feature_available("ReverseY")):
            return False
        camera.set_boolean("ReverseX", True)
        camera.set_boolean("ReverseY", True)
    return True


def _write_packet_size(camera: Any, wanted: int | None) -> int | None:
    with translated(f"the camera refuses packet_size {wanted}"):
        if not camera.is_gv_device():
            return None
        if wanted is None:
            return int(camera.gv_auto_packet_size())
        camera.gv_set_packet_size(wanted)
        return int(camera.gv_get_packet_size())
