"""What starts an inspection: a PLC, the source itself, or the clock. One class for each, behind one Protocol.

triggered      a PLC's trigger on MQTT: nothing starts here
interval       the clock: one request for each tick, and one frame is taken for it
free-running   the source: each frame is a request, as fast as they are judged, or at source.fps
hardware       the camera, by a signal at its input: each frame is a request with the frame's number as its trigger
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from edge_runtime.config.station import Station
from edge_runtime.daemon.requests import CAMERA, Capture, InspectionRequest, binding_request, free_running_request
from edge_runtime.monitoring.counters import Counters
from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame
from edge_runtime.sources.protocol import Source
from edge_runtime.wire.commands import U32, Trigger

log = logging.getLogger(__name__)

IDLE_S = 0.25  # the longest wait for anything, so that the serving thread turns often enough to feed the watchdog
RENUMBERED = 100  # a larger gap between two frames' numbers is a camera that began to count again


class TriggerMode(Protocol):
    """Called by the serving thread while the station runs and no other request waits."""

    def wait_s(self) -> float:
        """How long to wait for an event before the next call of `next_request`."""

    def next_request(self) -> InspectionRequest | NoFrame | None:
        """The next inspection that starts by itself; NoFrame when it is not time; None after the last frame."""


def open_trigger_mode(station: Station, source: Source, counters: Counters) -> TriggerMode:
    """What the station's mode says."""
    if station.mode == "interval":
        return IntervalMode(station.interval_ms, station.deadline_ms, counters)
    if station.mode == "free-running":
        may_pause = station.source.is_watched  # whoever fills the folder does not say when
        return FreeRunningMode(source, station.deadline_ms, station.source.fps, may_pause=may_pause)
    if station.mode == "hardware":
        return HardwareTriggerMode(source, station.deadline_ms, station.recipe)
    return ExternalTriggerMode()


class ExternalTriggerMode:
    """Nothing starts by itself."""

    def wait_s(self) -> float:
        """See TriggerMode."""
        return IDLE_S

    def next_request(self) -> NoFrame:
        """See TriggerMode."""
        return NoFrame()


class IntervalMode:
    """A tick every interval_ms. Ticks that pass while an earlier one is judged are counted as missed."""

    def __init__(
        self, interval_ms: int, deadline_ms: int, counters: Counters, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._period_ns, self._deadline_ms = interval_ms * 1_000_000, deadline_ms
        self._counters, self._clock_ns = counters, clock_ns
        self._due_ns: int | None = None

    def wait_s(self) -> float:
        """See TriggerMode."""
        return 0.0 if self._due_ns is None else min(IDLE_S, max(0.0, (self._due_ns - self._clock_ns()) / 1e9))

    def next_request(self) -> InspectionRequest | NoFrame:
        """See TriggerMode."""
        now_ns = self._clock_ns()
        due_ns = now_ns if self._due_ns is None else self._due_ns
        if now_ns < due_ns:
            return NoFrame()
        missed = (now_ns - due_ns) // self._period_ns
        self._counters.count_missed(missed)
        self._due_ns = due_ns + (missed + 1) * self._period_ns
        return binding_request(None, now_ns, self._deadline_ms)


class FreeRunningMode:
    """Each frame of the source is a request; with fps, not more often, and without catching up.

    A source that is quiet for longer than the deadline gives one request with a lost frame, and then nothing until it
    delivers again. may_pause: it is quiet when there are no parts, and that is no fault.
    """

    def __init__(
        self,
        source: Source,
        deadline_ms: int,
        fps: float | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        may_pause: bool = False,
    ) -> None:
        self._may_pause = may_pause
        self._source, self._deadline_ms, self._clock_ns = source, deadline_ms, clock_ns
        self._period_ns = 0 if fps is None else round(1e9 / fps)
        self._due_ns = self._heard_ns = clock_ns()
        self._reported_missing = False

    def wait_s(self) -> float:
        """See TriggerMode."""
        return min(IDLE_S, max(0.0, (self._due_ns - self._clock_ns()) / 1e9))

    def next_request(self) -> InspectionRequest | NoFrame | None:
        """See TriggerMode."""
        began_ns = self._clock_ns()
        if began_ns < self._due_ns:
            return NoFrame()
        frame = self._source.next_frame(IDLE_S)
        now_ns = self._clock_ns()
        if isinstance(frame, NoFrame):
            if self._may_pause or self._reported_missing or now_ns - self._heard_ns <= self._deadline_ms * 1_000_000:
                return NoFrame()
            self._reported_missing = True
            detail = f"no frame within {self._deadline_ms} ms (deadline_ms): {CAMERA}"
            frame = FailedFrame("", now_ns, ErrorCode.FRAME_MISSING, detail)
        elif frame is not None:
            self._reported_missing = False
        self._heard_ns, self._due_ns = now_ns, max(self._due_ns, began_ns) + self._period_ns
        return (
            None
            if frame is None
            else free_running_request(frame.captured_ns, self._deadline_ms, Capture(frame, now_ns))
        )


class HardwareTriggerMode:
    """Each frame is a request that must be answered, with the frame's number as its trigger_id.

    A number that is left out is a part that passed unseen: it gets a request with a lost frame.
    """

    def __init__(
        self,
        source: Source,
        deadline_ms: int,
        recipe: int,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._source, self._deadline_ms, self._recipe, self._clock_ns = source, deadline_ms, recipe, clock_ns
        self._last = 0
        self._waiting: deque[InspectionRequest] = deque()

    def wait_s(self) -> float:
        """See TriggerMode."""
        return 0.0

    def next_request(self) -> InspectionRequest | NoFrame | None:
        """See TriggerMode."""
        if self._waiting:
            return self._waiting.popleft()
        frame = self._source.next_frame(IDLE_S)
        if frame is None or isinstance(frame, NoFrame):
            return frame
        now_ns, number = self._clock_ns(), frame.sequence or self._last + 1
        self._waiting.extend(self._lost_before(number, frame, now_ns))
        self._last = number
        self._waiting.append(self._request(number, frame, now_ns))
        return self._waiting.popleft()

    def _lost_before(self, number: int, frame: Frame | FailedFrame, now_ns: int) -> list[InspectionRequest]:
        """Orders for the numbers between the last frame and this one."""
        missing = range(self._last + 1, number) if self._last else range(0)
        if len(missing) > RENUMBERED or number <= self._last:
            log.warning("the camera's frames jump from %d to %d: it counts from there", self._last, number)
            return []
        if missing:
            log.warning("the camera's frames %d to %d are lost", missing[0], missing[-1])
        detail = "the camera took a frame that never arrived: check cable, network and bandwidth"
        return [
            self._request(lost, FailedFrame("", frame.captured_ns, ErrorCode.FRAME_MISSING, detail, lost), now_ns)
            for lost in missing
        ]

    def _request(self, number: int, frame: Frame | FailedFrame, now_ns: int) -> InspectionRequest:
        trigger = Trigger((number - 1) % U32 + 1, self._recipe, "")
        return binding_request(trigger, frame.captured_ns, self._deadline_ms, Capture(frame, now_ns))
