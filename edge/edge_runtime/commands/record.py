"""`edge-daemon record`: pictures of good parts for training, until there are enough.

for event in record(target, Path("pictures/good"), count=150, trigger=Interval(0.5)):
    print(event)
"""

from __future__ import annotations

import select
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from edge_runtime.commands.camera_target import Target, fresh_frame
from edge_runtime.commands.recording import Offered, Recording
from edge_runtime.commands.snap import FIRST_FRAME_S, camera_line
from edge_runtime.config.station import Station
from edge_runtime.errors import ConfigError
from edge_runtime.mqtt.connect_errors import connect_reason
from edge_runtime.mqtt.paho_connection import KEEPALIVE_S, paho_client
from edge_runtime.records import FailedFrame
from edge_runtime.sources.protocol import open_source

TURN_S = 0.2


class Trigger(Protocol):
    """What says that the next picture is to be taken. A context manager."""

    def wait(self) -> bool:
        """Until it is time. False: no picture is wanted any more."""

    def __enter__(self) -> Trigger: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Trigger:
    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Interval(_Trigger):
    """One picture every so many seconds: parts are put before the camera meanwhile."""

    def __init__(self, every_s: float) -> None:
        self._every_s, self._due_s = every_s, time.monotonic()

    def wait(self) -> bool:
        """See Trigger."""
        time.sleep(max(0.0, self._due_s - time.monotonic()))
        self._due_s = time.monotonic() + self._every_s
        return True


class Keyboard(_Trigger):
    """One picture for each line on standard input: Enter takes one, q ends."""

    def wait(self) -> bool:
        """See Trigger."""
        while not select.select([sys.stdin], [], [], TURN_S)[0]:
            pass
        line = sys.stdin.readline()
        return bool(line) and line.strip().lower() not in ("q", "quit")


class Plc:
    """One picture for each message on the station's /trigger. None is answered, for no verdict comes."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._asked = threading.Semaphore(0)
        self._client = paho_client(station.mqtt, f"{station.client_id}-record"[:64])
        self._client.on_connect = lambda client, *_: client.subscribe(station.topics.trigger, 1)
        self._client.on_message = lambda *_: self._asked.release()

    def wait(self) -> bool:
        """See Trigger."""
        while not self._asked.acquire(timeout=TURN_S):
            pass
        return True

    def __enter__(self) -> Plc:
        mqtt = self._station.mqtt
        try:
            self._client.connect(mqtt.host, mqtt.port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise ConfigError(f"broker {mqtt.address}: {connect_reason(error)}") from error
        self._client.loop_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@dataclass(frozen=True)
class Progress:
    """How far a recording is. offered: of the frame that came just now; None before the first."""

    kept: int
    alike: int
    unfit: int
    doubtful: int
    is_enough: bool
    offered: Offered | None = None
    camera: str = ""


def record(target: Target, folder: Path, count: int, trigger: Trigger) -> Iterator[Progress]:
    """Record until `count` pictures are in the folder, the trigger ends it, or a recorded source has no more.

    Raises EdgeError.
    """
    recording = Recording(folder, target.source.label, target.limits)

    def progress(offered: Offered | None, camera: str) -> Progress:
        found = recording
        return Progress(found.kept, found.alike, found.unfit, found.doubtful, found.is_enough(), offered, camera)

    yield progress(None, "")
    if recording.kept >= count:
        return
    with open_source(target.source, target.mode) as source, trigger:
        while recording.kept < count and trigger.wait():
            frame = fresh_frame(source, FIRST_FRAME_S)
            if frame is None:
                return
            camera = camera_line(source)
            offered = recording.offer(frame, camera)
            if isinstance(frame, FailedFrame):
                source.problem()  # a lost camera comes back while we wait
            yield progress(offered, camera)
