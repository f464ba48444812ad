"""`edge-daemon init --camera`: the source of a station, as the camera is now."""

from __future__ import annotations

from edge_runtime.commands.cameras import first_camera
from edge_runtime.errors import SourceError
from edge_runtime.sources.aravis_binding import open_camera
from edge_runtime.sources.aravis_features import write_features
from edge_runtime.sources.settings import CameraSettings, SourceSettings


def source_of_camera(uri: str | None, mode: str) -> SourceSettings:
    """The settings of a camera, by its URI or the first that is found: size, format, exposure and gain as it has them,
    so that they stay when somebody else changes it. Raises EdgeError."""
    settings = SourceSettings(uri=uri or first_camera())
    if not settings.is_camera:
        raise SourceError(f"--camera with --source {settings.label}: that is no camera; leave --camera out")
    if not settings.uri.startswith("aravis://"):
        return settings
    state = write_features(open_camera(settings.location), CameraSettings(), None)
    return SourceSettings(
        uri=settings.uri,
        camera=CameraSettings(
            width=state.width,
            height=state.height,
            pixel_format=state.pixel_format,
            exposure_us=state.exposure_us,
            gain_db=state.gain_db,
            trigger_source="Line1" if mode == "hardware" else None,
        ),
    )
