"""`gst://PIPELINE`, and rtsp://, csi:// and v4l2:// as presets of it: frames from a GStreamer pipeline.

Rules:
- Free-running: the newest frame wins; the others are counted. In mode hardware each frame counts.
- Triggered: such a camera takes no trigger, so the first frame that was exposed after the request is taken: by its time
  stamp, less camera.latency_ms for what is under way before GStreamer stamps it.
- An error, or the end of the stream, is a lost camera.

connection = GstConnection("videotestsrc is-live=true ! ... ! appsink name=edge", "free-running")
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ConfigError
from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame
from edge_runtime.sources.frame_grabber import FrameGrabber
from edge_runtime.sources.gst_binding import PACKAGES, SINK, load_gst, pipeline_of
from edge_runtime.sources.live_camera import CameraLostError, LiveCamera
from edge_runtime.sources.settings import SourceSettings

QUEUE = 16  # frames that may wait where each counts
START_S = 5.0  # for the first state change; a camera on the network may need this long
PULL_NS = 100_000_000
MOST_AGE_NS = 60_000_000_000  # an older stamp counts from something else
ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True)
class _Sample:
    sample: Any
    sequence: int
    captured_ns: int


def open_gst(settings: SourceSettings, mode: str) -> LiveCamera:
    """The pipeline, kept running. Raises ConfigError for one that can never run."""
    text = pipeline_of(settings)
    parse(text).set_state(load_gst()[0].State.NULL)  # a mistake in it is reported now

    def connect() -> GstConnection:
        return GstConnection(text, mode, settings.camera.rotate, settings.camera.latency_ms * 1_000_000)

    return LiveCamera(settings.label, connect)


def parse(text: str) -> Any:
    """A pipeline from gst-launch's language. Raises ConfigError."""
    gst, _ = load_gst()
    from gi.repository import GLib

    try:
        return gst.parse_launch(text)
    except GLib.Error as error:
        missing = next((package for element, package in PACKAGES.items() if f'"{element}"' in error.message), "")
        hint = f": apt install {missing}" if missing else "; try it with gst-launch-1.0"
        raise ConfigError(f"source gst://: GStreamer cannot make this pipeline: {error.message}{hint}") from error


class GstConnection:
    """One running pipeline. See live_camera.Connection. Raises CameraLostError."""

    def __init__(self, text: str, mode: str, rotate: int = 0, latency_ns: int = 0) -> None:
        self._gst, _ = load_gst()
        self._rotate, self._latency_ns = rotate, latency_ns
        self._after_request = mode in ("triggered", "interval")
        self._sequence = 0
        self._described = ""
        self._first: _Sample | None = None
        self._pipeline = parse(text)
        self._sink = self._pipeline.get_by_name(SINK)
        self._bus = self._pipeline.get_bus()
        try:
            if self._pipeline.set_state(self._gst.State.PLAYING) == self._gst.StateChangeReturn.FAILURE:
                raise CameraLostError(self._why_lost() or "the pipeline does not start")
            self._first = self._pull_first()
        except CameraLostError:
            self._pipeline.set_state(self._gst.State.NULL)
            raise
        self._grabber = FrameGrabber(self._pull, lambda frame: None, QUEUE if mode == "hardware" else 1)

    def left_out(self) -> dict[str, int]:
        """See Counting."""
        return {"dropped": self._grabber.dropped}

    def next_frame(self, wait_s: float) -> Frame | FailedFrame | NoFrame:
        """See Source."""
        asked_ns, until_s = time.monotonic_ns(), time.monotonic() + wait_s
        while (sample := self._grabber.next(max(0.0, until_s - time.monotonic()))) is not None:
            if not self._after_request or sample.captured_ns >= asked_ns:
                return self._frame_from(sample)
        return NoFrame()

    def look_after(self) -> None:
        """See Connection."""
        self._grabber.check()

    def describe(self) -> str:
        """See Connection."""
        return self._described

    def close(self) -> None:
        """See Connection."""
        self._grabber.close()
        self._pipeline.set_state(self._gst.State.NULL)

    def _pull_first(self) -> _Sample:
        """A pipeline is there when it has given a frame: an RTSP server can take a connection and send nothing."""
        until_s = time.monotonic() + START_S
        while time.monotonic() < until_s:
            if (sample := self._pull()) is not None:
                caps = sample.sample.get_caps().get_structure(0)
                self._described = f"{caps.get_value('width')} x {caps.get_value('height')} by GStreamer"
                return sample
        raise CameraLostError(f"no frame came within {START_S:.0f} s: check camera, cable and network")

    def _pull(self) -> _Sample | None:
        """In the grabber's thread, but for the first."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        sample = self._sink.try_pull_sample(PULL_NS)
        if sample is None:
            if (why := self._why_lost()) is not None:
                raise CameraLostError(why)
            return None
        self._sequence += 1
        return _Sample(sample, self._sequence, self._captured_ns(sample))

    def _why_lost(self) -> str | None:
        message = self._bus.pop_filtered(self._gst.MessageType.ERROR | self._gst.MessageType.EOS)
        if message is None:
            return None
        if message.type == self._gst.MessageType.EOS:
            return "the stream has ended"
        error, detail = message.parse_error()
        last = (detail or "").strip().splitlines()[-1:] or [""]
        return f"{error.message} {last[0]}".strip()

    def _captured_ns(self, sample: Any) -> int:
        """By the live pipeline's own stamp if it has one that can be true, otherwise now; on the monotonic clock."""
        now_ns = time.monotonic_ns()
        clock, pts = self._pipeline.get_clock(), sample.get_buffer().pts
        if clock is not None and pts != self._gst.CLOCK_TIME_NONE:
            running_ns = sample.get_segment().to_running_time(self._gst.Format.TIME, pts)
            if running_ns != self._gst.CLOCK_TIME_NONE:
                age_ns = clock.get_time() - self._pipeline.get_base_time() - running_ns
                if 0 <= age_ns < MOST_AGE_NS:
                    return int(now_ns - age_ns - self._latency_ns)
        return now_ns - self._latency_ns

    def _frame_from(self, taken: _Sample) -> Frame | FailedFrame:
        """BGR, owned by the caller."""
        caps = taken.sample.get_caps().get_structure(0)
        width, height = caps.get_value("width"), caps.get_value("height")
        stride = (3 * width + 3) // 4 * 4  # GStreamer's default for packed BGR
        buffer = taken.sample.get_buffer()
        mapped, content = buffer.map(self._gst.MapFlags.READ)
        data = bytes(content.data) if mapped else b""  # PyGObject's copy already; bytes() adds none
        if mapped:
            buffer.unmap(content)
        if len(data) < stride * height:
            detail = f"{width} x {height} BGR has {stride * height} bytes, GStreamer gave {len(data)}"
            return FailedFrame("", taken.captured_ns, ErrorCode.FRAME_SHORT, detail, taken.sequence)
        rows: NDArray[np.uint8] = np.frombuffer(data, np.uint8)[: stride * height].reshape(height, stride)
        image = np.ascontiguousarray(rows[:, : 3 * width].reshape(height, width, 3))
        if self._rotate:
            image = np.ascontiguousarray(cv2.rotate(image, ROTATIONS[self._rotate]))
        return Frame("gst", taken.sequence, taken.captured_ns, image, camera_ns=0)
