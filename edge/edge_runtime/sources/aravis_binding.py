"""Aravis through GObject introspection: the import, what it lists, and its errors as ours."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edge_runtime.errors import ConfigError, SourceError
from edge_runtime.sources.live_camera import CameraLostError

INSTALL = (
    "apt install gir1.2-aravis-0.8 python3-gi, and a venv made with --system-site-packages; or pip install "
    "'edge-inspection[cameras]' (docs/how-to/connect-a-camera.md)"
)
FAKE = "fake"


@dataclass(frozen=True)
class FoundCamera:
    """A camera that answers, as Aravis lists it."""

    device_id: str
    vendor: str
    model: str
    serial: str
    address: str
    protocol: str  # GigEVision, USB3Vision, Fake


def load_aravis() -> Any:
    """The module Aravis. Raises ConfigError when it is not installed."""
    try:
        import gi

        gi.require_version("Aravis", "0.8")
        from gi.repository import Aravis
    except (ImportError, ValueError) as error:
        raise ConfigError(f"aravis:// needs Aravis and PyGObject ({error}): {INSTALL}") from error
    return Aravis


def list_cameras() -> list[FoundCamera]:
    """All that answer within a second. Raises ConfigError."""
    aravis = load_aravis()
    aravis.update_device_list()
    return [
        FoundCamera(
            device_id=aravis.get_device_id(index) or "",
            vendor=aravis.get_device_vendor(index) or "",
            model=aravis.get_device_model(index) or "",
            serial=aravis.get_device_serial_nbr(index) or "",
            address=aravis.get_device_address(index) or "",
            protocol=aravis.get_device_protocol(index) or "",
        )
        for index in range(aravis.get_n_devices())
    ]


def open_camera(wanted: str) -> Any:
    """An Aravis.Camera: `*` for the first one, a serial, a device id, an address, or `fake`.

    Raises ConfigError, CameraLostError.
    """
    aravis = load_aravis()
    if wanted == FAKE:
        aravis.enable_interface("Fake")
        wanted = "Fake_1"
    elif not _is_address(wanted):  # to an address one can connect without looking for all cameras first
        found = list_cameras()
        names = {name: one for one in found for name in (one.serial, one.device_id, one.address)}
        if not found:
            raise CameraLostError(f"no camera answers: {CHECK}")
        if wanted != "*" and wanted not in names:
            there = ", ".join(f"{one.serial} ({one.model})" for one in found)
            raise CameraLostError(f"no camera {wanted} answers; there are {there}: check its power, cable and serial")
        wanted = (found[0] if wanted == "*" else names[wanted]).device_id
    with translated("it cannot be opened"):
        return aravis.Camera.new(wanted)


CHECK = (
    "check its power and cable; GigE: its address must be of this port's subnet, and no firewall may stand between; "
    "USB3: the rule for /dev/bus/usb (docs/how-to/connect-a-camera.md)"
)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """GLib's errors become ours: what the camera refuses is a SourceError, what it does not answer is its loss."""
    from gi.repository import GLib

    try:
        yield
    except GLib.Error as error:
        refused = error.domain == "arv-device-error-quark" and error.code in _REFUSALS
        if refused or error.domain == "arv-gc-error-quark":
            raise SourceError(f"{what}: {error.message}") from error
        raise CameraLostError(f"{what}: {error.message}: {CHECK}") from error


# ArvDeviceError: WRONG_FEATURE, FEATURE_NOT_FOUND, INVALID_PARAMETER, NO_STREAM_CHANNEL and what the protocol calls
# not implemented, invalid, protected or badly aligned. All others are of the transport.
_REFUSALS = (0, 1, 7, 9, 12, 13, 14, 15, 16)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
