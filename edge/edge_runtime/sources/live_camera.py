"""A camera that may be lost and comes back: connecting, being lost and trying again, whatever kind it is.

A connection is made in a thread of its own, for looking for a camera can take seconds. All settings are written again
with each one. While there is none, `problem()` says why, and the station is not ready.

with LiveCamera("aravis://EDGE1", connect) as camera:
    frame = camera.next_frame(wait_s=1.0)
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol

from edge_runtime.errors import EdgeError, SourceError
from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame, PictureFile
from edge_runtime.sources.protocol import JudgedFiles

log = logging.getLogger(__name__)

FIRST_WAIT_S = 5.0  # for the first connection, before the station goes on without one
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)  # from try to try; the last one again and again


class CameraLostError(SourceError):
    """The camera answers no more. Trying again may help."""


class Connection(Protocol):
    """A camera that is there. Each method raises CameraLostError when it is not any more."""

    def next_frame(self, wait_s: float) -> Frame | FailedFrame | NoFrame:
        """See Source."""

    def look_after(self) -> None:
        """Called while there is nothing else to do."""

    def left_out(self) -> Mapping[str, int]:
        """See Counting; of this connection."""

    def describe(self) -> str:
        """Model, serial, size, format: for the log."""

    def close(self) -> None:
        """Let it go. Raises nothing."""


class LiveCamera:
    """See the module. connect raises EdgeError, and is called in a thread of its own."""

    simulated = False

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        first_wait_s: float = FIRST_WAIT_S,
        backoff_s: tuple[float, ...] = BACKOFF_S,
    ) -> None:
        self._name, self._connect, self._backoff_s = name, connect, backoff_s
        self._changed = threading.Condition()
        self._connection: Connection | None = None
        self._why: str | None = "connecting"
        self._closing = False
        self.times_lost = 0
        self._left_out = Counter[str]()  # by the connections before
        self._thread = threading.Thread(target=self._keep_connected, name="camera", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._why != "connecting", first_wait_s)

    @property
    def connection(self) -> Connection | None:
        """The camera as it is connected now."""
        return self._connection

    def resume(self, judged: JudgedFiles) -> None:
        """A camera delivers nothing twice."""

    def committed(self, file: PictureFile) -> None:
        """Its frames are no files."""

    def next_frame(self, wait_s: float) -> Frame | FailedFrame | NoFrame:
        """See Source."""
        until_s = time.monotonic() + wait_s
        with self._changed:
            if not self._changed.wait_for(lambda: self._connection is not None or self._closing, wait_s):
                return NoFrame()
            connection = self._connection
        if connection is None:
            return NoFrame()
        try:
            return connection.next_frame(max(0.0, until_s - time.monotonic()))
        except SourceError as error:  # also one that refuses what it took before
            self._lose(connection, error)
            return FailedFrame("", time.monotonic_ns(), ErrorCode.FRAME_MISSING, str(error))

    def problem(self) -> str | None:
        """See Source."""
        connection = self._connection
        if connection is not None:
            try:
                connection.look_after()
            except SourceError as error:
                self._lose(connection, error)
                return str(error)  # also where it is connected again by now: a loss is noticed
        return self._why

    def left_out(self) -> dict[str, int]:
        """See Counting."""
        connection = self._connection
        now = {} if connection is None else connection.left_out()
        return {why: self._left_out[why] + now.get(why, 0) for why in {**self._left_out, **now}}

    def __enter__(self) -> LiveCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(3 * FIRST_WAIT_S)

    def _lose(self, connection: Connection, error: SourceError) -> None:
        with self._changed:
            if self._connection is not connection:
                return
            self._connection, self._why = None, str(error)
            self.times_lost += 1
            self._left_out.update(connection.left_out())
            self._changed.notify_all()
        log.warning("%s: %s; it is tried again", self._name, error)

    def _keep_connected(self) -> None:
        tries = 0
        while not self._closing:
            try:
                connection = self._connect()
            except EdgeError as error:
                if str(error) != self._why:
                    log.warning("%s: %s; it is tried again", self._name, error)
                with self._changed:
                    self._why = str(error)
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closing, self._backoff_s[min(tries, len(self._backoff_s) - 1)])
                tries += 1
                continue
            log.info("%s: %s", self._name, connection.describe())
            tries = 0
            with self._changed:
                self._connection, self._why = connection, None
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closing or self._connection is None)
                self._connection = None
            connection.close()
