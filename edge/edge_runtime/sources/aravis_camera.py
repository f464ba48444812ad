"""`aravis://`: a GigE Vision or USB3 Vision camera, through Aravis.

Rules:
- Free-running: the newest frame wins; the others are counted. By a signal at the camera's input: each frame counts.
- Triggered: each request is one software trigger, and its frame is the one with the number that follows; see
  frame_ids.py. What comes late for a trigger that was given up is thrown away. When numbers and triggers do not fit
  together any more, acquisition is started again, and the part in hand is ERROR.
- A frame with missing packets is ERROR 106 and never judged.

connection = AravisConnection(open_camera("*"), CameraSettings(), "triggered")
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import SourceError
from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame
from edge_runtime.sources.aravis_binding import load_aravis, open_camera, translated
from edge_runtime.sources.aravis_chunks import ChunkReader
from edge_runtime.sources.aravis_features import CameraState, write_features
from edge_runtime.sources.frame_grabber import FrameGrabber, monotonic_from_unix_ns
from edge_runtime.sources.frame_ids import Belongs, FrameNumbers, TriggerLedger
from edge_runtime.sources.live_camera import CameraLostError, LiveCamera
from edge_runtime.sources.pixel_formats import CODES, PixelFormatError, bgr_from_raw
from edge_runtime.sources.settings import CameraSettings, SourceSettings

log = logging.getLogger(__name__)

BUFFERS = {"hardware": 16}  # frames that may wait to be judged; elsewhere FEW, for only the newest counts
FEW = 4
POP_US = 100_000
RESTART_AFTER_S = 1.0  # a frame that is owed for so long will not come any more
ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
FREE = "none"
STRAY = "a frame came that no trigger asked for"


@dataclass(frozen=True)
class _Grabbed:
    """A frame as Aravis gives it, and its memory."""

    buffer: Any
    raw: NDArray[np.uint8]
    whole: bool
    number: int | None  # see FrameNumbers


def open_aravis(settings: SourceSettings, mode: str) -> LiveCamera:
    """The camera, kept connected. Raises ConfigError when Aravis is not installed."""
    load_aravis()

    def connect() -> AravisConnection:
        return AravisConnection(open_camera(settings.location), settings.camera, mode, settings.fps)

    return LiveCamera(settings.uri, connect)


class AravisConnection:
    """One connection to one camera. See live_camera.Connection.

    mode: of the station. Raises SourceError when the camera refuses a setting, CameraLostError when it does not answer.
    """

    def __init__(self, camera: Any, settings: CameraSettings, mode: str, fps: float | None = None) -> None:
        self._aravis, self._settings = load_aravis(), settings
        self._camera: Any = camera
        self._memory: dict[Any, NDArray[np.uint8]] = {}
        self._stream: Any = None
        self._grabber: FrameGrabber[_Grabbed]
        self._softly = mode in ("triggered", "interval") and settings.trigger_source in (None, "Software")
        self._after_request = mode in ("triggered", "interval") and settings.trigger_source == FREE
        self._numbers, self._triggers, self._gave_up_s = FrameNumbers(), TriggerLedger(), 0.0
        self.late = self.incomplete = self.restarts = 0
        self._lost = threading.Event()
        try:
            self._begin(mode, fps)
        except SourceError as error:
            # The camera is free again when nobody refers to it: then the next try can have it.
            self._stream = self._camera = camera = None
            traceback.clear_frames(error.__traceback__)
            raise

    def _begin(self, mode: str, fps: float | None) -> None:
        """Write the settings and start."""
        camera, lost = self._camera, self._lost
        # Not a method: it would keep this object, and so the camera, for ever.
        camera.get_device().connect("control-lost", lambda *_: lost.set())
        self.state = write_features(camera, self._settings, fps if mode == "free-running" else None)
        self._chunks = ChunkReader(camera, self._settings) if self._settings.chunks else None
        self._write_trigger(mode)
        with translated("the camera opens no stream"):
            payload = camera.get_payload()
            self._stream = camera.create_stream(None, None)
            if self._stream is None:
                raise CameraLostError("the camera opens no stream: another program may have it")
            for _ in range(BUFFERS.get(mode, FEW)):
                memory = np.zeros(payload, np.uint8)
                buffer = self._aravis.Buffer.new(payload, memory.ctypes.data)
                self._memory[buffer] = memory
                self._stream.push_buffer(buffer)
            camera.start_acquisition()
        depth = 1 if mode == "free-running" or self._after_request else len(self._memory)
        self._grabber = FrameGrabber(self._pop, self._give_back, depth)

    def left_out(self) -> dict[str, int]:
        """See Counting."""
        return {"dropped": self._grabber.dropped, "late": self.late, "incomplete": self.incomplete}

    def next_frame(self, wait_s: float) -> Frame | FailedFrame | NoFrame:
        """See Source."""
        until_s = time.monotonic() + wait_s
        if self._softly:
            return self._triggered_frame(until_s)
        if self._after_request:
            self._grabber.clear()
            return self._frame_begun_after(time.monotonic_ns(), until_s)
        grabbed = self._grabber.next(wait_s)
        return NoFrame() if grabbed is None else self._frame_from(grabbed)

    def look_after(self) -> None:
        """See Connection: late frames are thrown away as they come, and what is owed for too long is written off."""
        self._grabber.check()
        if not self._softly:
            return
        self._throw_late_away()
        if self._triggers.owed and time.monotonic() - self._gave_up_s > RESTART_AFTER_S:
            self._restart("a triggered frame never came")

    def describe(self) -> str:
        """See Connection."""
        return str(self.state)

    def close(self) -> None:
        """See Connection."""
        self._grabber.close()
        try:
            with translated("stop"):
                self._camera.stop_acquisition()
        except SourceError:
            log.debug("the camera did not answer when it was let go")
        self._stream, self._camera = None, None  # in this order: the stream's thread uses the camera and the memory
        self._memory.clear()

    def _triggered_frame(self, until_s: float) -> Frame | FailedFrame | NoFrame:
        self._throw_late_away()
        late_before = self.late
        self._triggers.sent()
        with translated("the camera does not take the software trigger"):
            self._camera.software_trigger()
        while (grabbed := self._grabber.next(max(0.0, until_s - time.monotonic()))) is not None:
            belongs = self._triggers.sort(grabbed.number)
            if belongs is Belongs.OWN:
                return self._frame_from(grabbed)
            self._give_back(grabbed)
            if belongs is Belongs.STRAY:
                self._restart(STRAY)
                detail = f"{STRAY}, so none can be bound to this one: check what else triggers the camera"
                return FailedFrame("", time.monotonic_ns(), ErrorCode.FRAME_MISSING, detail)
            self.late += 1
        self._triggers.given_up()
        self._gave_up_s = time.monotonic()
        # A late frame came and its own did not: perhaps the camera took no picture for a trigger that came too soon;
        # then each frame would be taken for the one before from now on.
        if self._triggers.owed > 1 or self.late > late_before:
            self._restart("a triggered frame never came")
        return NoFrame()

    def _throw_late_away(self) -> None:
        """Frames of triggers that were given up."""
        while (grabbed := self._grabber.next(0)) is not None:
            belongs = self._triggers.sort(grabbed.number)
            self._give_back(grabbed)
            self.late += 1
            if belongs is not Belongs.LATE:
                self._restart(STRAY)

    def _restart(self, why: str) -> None:
        """Begin again: what is under way is lost, and nothing of it can be taken for another part's."""
        log.warning("%s: %s: acquisition is started again", self.state.serial, why)
        self.restarts += 1
        with translated("the camera does not start again"):
            self._camera.stop_acquisition()
            time.sleep(2 * POP_US / 1e6)  # what was on its way arrives, and is thrown away
            self._grabber.clear()
            self._triggers.restart()
            self._camera.start_acquisition()

    def _frame_begun_after(self, asked_ns: int, until_s: float) -> Frame | FailedFrame | NoFrame:
        """Of a camera that runs freely: the first frame whose exposure began after it was asked for."""
        exposure_ns = round((self.state.exposure_us or 0) * 1000)
        while (grabbed := self._grabber.next(max(0.0, until_s - time.monotonic()))) is not None:
            if monotonic_from_unix_ns(grabbed.buffer.get_system_timestamp()) - exposure_ns >= asked_ns:
                return self._frame_from(grabbed)
            self._give_back(grabbed)
        return NoFrame()

    def _pop(self) -> _Grabbed | None:
        """In the grabber's thread. Raises CameraLostError."""
        buffer = self._stream.timeout_pop_buffer(POP_US)
        if buffer is not None:
            status = buffer.get_status()
            if status in (self._aravis.BufferStatus.CLEARED, self._aravis.BufferStatus.ABORTED):  # nothing is in it
                self._stream.push_buffer(buffer)
                return None
            whole = status == self._aravis.BufferStatus.SUCCESS
            number = self._numbers.of(buffer.get_frame_id(), whole)
            return _Grabbed(buffer, self._memory[buffer], whole, number)
        if self._lost.is_set():
            raise CameraLostError(f"camera {self.state.serial} does not answer any more, or another program took it")
        return None

    def _give_back(self, grabbed: _Grabbed) -> None:
        self._stream.push_buffer(grabbed.buffer)

    def _frame_from(self, grabbed: _Grabbed) -> Frame | FailedFrame:
        """The frame for the caller to own; Aravis' buffer goes back."""
        buffer = grabbed.buffer
        sequence, captured_ns = grabbed.number or 0, self._captured_ns(buffer)
        name = f"{self.state.serial}#{sequence}"
        try:
            if not grabbed.whole:
                self.incomplete += 1
                what = buffer.get_status().value_nick.replace("-", " ")
                detail = f"the frame is not whole ({what}): check network, packet size and the receive buffer"
                return FailedFrame(name, captured_ns, ErrorCode.FRAME_SHORT, detail, sequence)
            if self._chunks is not None:
                self._chunks.check(buffer, name)
            code = buffer.get_image_pixel_format()
            height, width = buffer.get_image_height(), buffer.get_image_width()
            image = bgr_from_raw(grabbed.raw, height, width, CODES.get(code, f"0x{code:08x}"), self._settings.shift)
        except PixelFormatError as error:
            return FailedFrame(name, captured_ns, ErrorCode.FRAME_WRONG_FORMAT, str(error), sequence)
        finally:
            stamp = buffer.get_timestamp()
            self._give_back(grabbed)
        if self._settings.rotate and not self.state.turned:
            image = np.ascontiguousarray(cv2.rotate(image, ROTATIONS[self._settings.rotate]))
        return Frame(self.state.serial, sequence, captured_ns, image, name, stamp)

    def _captured_ns(self, buffer: Any) -> int:
        """When its first packet came, at the latest now. USB3 and GigE Vision give it alike."""
        arrived = buffer.get_system_timestamp()
        now_ns = time.monotonic_ns()
        return min(now_ns, monotonic_from_unix_ns(arrived)) if arrived else now_ns

    def _write_trigger(self, mode: str) -> None:
        wanted = "Software" if self._softly else self._settings.trigger_source
        if mode == "free-running" or wanted in (None, FREE):
            with translated("the camera does not run freely"):
                self._camera.clear_triggers()
            return
        with translated(f"the camera takes no trigger from {wanted}"):
            if self._softly and not self._camera.is_software_trigger_supported():
                raise SourceError("the camera has no software trigger: set camera.trigger_source to none")
            sources = list(self._camera.dup_available_trigger_sources())
            if wanted not in sources:
                raise SourceError(f"the camera has no camera.trigger_source {wanted}: it has {', '.join(sources)}")
            self._camera.set_trigger(wanted)


def camera_state(source: LiveCamera) -> CameraState | None:
    """What the camera says of itself, if it is connected."""
    connection = source.connection
    return connection.state if isinstance(connection, AravisConnection) else None
