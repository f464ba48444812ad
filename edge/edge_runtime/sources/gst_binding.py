"""GStreamer through GObject introspection: the import, the presets, and what it lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_runtime.errors import ConfigError
from edge_runtime.sources.settings import SourceSettings

INSTALL = (
    "apt install python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base, and a venv "
    "made with --system-site-packages; or pip install 'edge-inspection[cameras]' (docs/how-to/connect-a-camera.md)"
)
# The package that has an element, where one is missing.
PACKAGES = {
    "rtspsrc": "gstreamer1.0-plugins-good",
    "v4l2src": "gstreamer1.0-plugins-good",
    "jpegdec": "gstreamer1.0-plugins-good",
    "avdec_h264": "gstreamer1.0-libav",
    "h264parse": "gstreamer1.0-plugins-bad",
    "nvarguscamerasrc": "nvidia-l4t-gstreamer (JetPack)",
    "nvvidconv": "nvidia-l4t-gstreamer (JetPack)",
    "videoconvert": "gstreamer1.0-plugins-base",
    "appsink": "gstreamer1.0-plugins-base",
}
SINK = "edge"


@dataclass(frozen=True)
class FoundVideo:
    """A video device that GStreamer sees."""

    name: str
    device: str  # its path, for v4l2://
    formats: str


def load_gst() -> tuple[Any, Any]:
    """The modules Gst and GstApp, initialised. Raises ConfigError when they are not installed."""
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstApp", "1.0")
        from gi.repository import Gst, GstApp
    except (ImportError, ValueError) as error:
        raise ConfigError(f"this source needs GStreamer and PyGObject ({error}): {INSTALL}") from error
    Gst.init(None)
    return Gst, GstApp


def pipeline_of(settings: SourceSettings) -> str:
    """The pipeline in gst-launch's language, up to the appsink, which gets packed BGR. Raises ConfigError."""
    camera, uri = settings.camera, settings.uri
    size = f",width={camera.width},height={camera.height}" if camera.width else ""
    rate = f",framerate={_fraction(settings.fps)}" if settings.fps else ""
    if uri.startswith(("rtsp://", "rtsps://")):
        _need("rtspsrc")
        # TCP: over UDP a lost packet is a smear that no check finds. is-live, so nothing waits in the jitter buffer.
        front = f"rtspsrc location={_quoted(uri)} protocols=tcp latency=0 drop-on-latency=true ! decodebin"
    elif uri.startswith("csi://"):
        _need("nvarguscamerasrc", "nvvidconv")
        sensor = settings.location
        if not sensor.isdigit():
            raise ConfigError(f"source {uri}: csi:// is followed by the sensor's number, for example csi://0")
        caps = f"video/x-raw(memory:NVMM){size}{rate}"
        front = f"nvarguscamerasrc sensor-id={sensor} ! {caps} ! nvvidconv ! video/x-raw,format=BGRx"
    elif uri.startswith("v4l2://"):
        _need("v4l2src")
        # The camera may send raw pictures or JPEG: decodebin takes either.
        either = _quoted(f"video/x-raw{size}{rate};image/jpeg{size}{rate}") if size or rate else "identity"
        front = f"v4l2src device={_quoted(settings.location)} ! {either} ! decodebin"
    else:
        front = settings.location
        if "appsink" in front:
            raise ConfigError("source gst://: leave the appsink out, it is added: end with what makes raw video")
    _need("videoconvert", "appsink")
    back = f"appsink name={SINK} sync=false max-buffers=4 drop=false"
    return f"{front} ! videoconvert ! video/x-raw,format=BGR ! {back}"


def list_video() -> list[FoundVideo]:
    """The video devices of this machine. Raises ConfigError."""
    gst, _ = load_gst()
    monitor = gst.DeviceMonitor()
    monitor.add_filter("Video/Source", None)
    found = []
    for device in monitor.get_devices() or []:
        properties, caps = device.get_properties(), device.get_caps()
        path = (properties.get_string("api.v4l2.path") or properties.get_string("device.path")) if properties else None
        kinds = {caps.get_structure(index).get_name() for index in range(caps.get_size())} if caps else set()
        found.append(FoundVideo(device.get_display_name(), path or "", ", ".join(sorted(kinds))))
    return found


def _need(*elements: str) -> None:
    gst, _ = load_gst()
    for element in elements:
        if gst.ElementFactory.find(element) is None:
            package = PACKAGES.get(element, "the package that has it")
            raise ConfigError(f"GStreamer has no element {element}: apt install {package}")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _fraction(fps: float) -> str:
    return f"{round(fps * 1000)}/1000"
