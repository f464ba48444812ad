"""What `snap` and `record` look at: a station's source with all its settings, or a camera by its URI alone.

target = read_target("aravis://*")
target = read_target("station.yaml")
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pydantic

from edge_runtime.bundle.manifest import FrameLimits
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.config.station import Station, read_station
from edge_runtime.daemon.admission import trust_of
from edge_runtime.daemon.model import frame_limits
from edge_runtime.errors import BundleError, ConfigError, SourceError
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.inspection.frame_checks import FIXED_LIMITS
from edge_runtime.records import FailedFrame, Frame, NoFrame
from edge_runtime.sources.protocol import Source
from edge_runtime.sources.settings import SourceSettings
from edge_runtime.strict_yaml.problems import broken_rule

POLL_S = 0.5


@dataclass(frozen=True)
class Target:
    """A source, in which mode it is opened, and which frames may be judged, as far as that is known yet."""

    source: SourceSettings
    mode: str
    limits: FrameLimits
    station: Station | None
    viewer: FrameViewer | None = None  # of a bundle that looks for the part


def read_target(text: str) -> Target:
    """A URI or a station's file. A bundle need not be there yet. Raises ConfigError."""
    if "://" in text:
        try:
            settings = SourceSettings(uri=text).below(Path.cwd())
        except pydantic.ValidationError as error:
            raise ConfigError(f"{text}: {broken_rule(error.errors()[0])}") from error
        return Target(settings, "free-running", FIXED_LIMITS, None)
    station = read_station(Path(text))
    try:
        bundle = open_bundle(station.bundle, trust_of(station))
    except BundleError:  # pictures are recorded before there is one
        return Target(station.source, station.mode, FIXED_LIMITS, station)
    viewer = bundle.viewer() if bundle.manifest.view is not None else None
    return Target(station.source, station.mode, frame_limits(bundle.manifest, station), station, viewer)


def fresh_frame(source: Source, wait_s: float) -> Frame | FailedFrame | None:
    """A frame that was taken from now on, of whatever kind the source is; None after a recording's last.

    Raises SourceError when none comes in time.
    """
    asked_ns, until_s = time.monotonic_ns(), time.monotonic() + wait_s
    while (left_s := until_s - time.monotonic()) > 0:
        frame = source.next_frame(min(left_s, POLL_S))
        if frame is None:
            return None
        if not isinstance(frame, NoFrame) and frame.captured_ns >= asked_ns:
            return frame
        source.problem()  # a camera that is lost comes back by itself
    problem = source.problem() or "check camera, cable and trigger"
    raise SourceError(f"no frame came within {wait_s:.0f} s: {problem}")
