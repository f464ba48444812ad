"""Between a camera's own thread and the serving thread: the newest frame, or every frame in order.

A thread of its own takes each frame from the driver as soon as it is there, so that the driver never runs out of
buffers. Where the newest frame counts, older ones that nobody took are given back and counted; where each counts, they
wait in order.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class FrameGrabber(Generic[T]):
    """take: the driver's next frame, or None after a short while; raises CameraLostError (or any other error, which the
    serving thread then gets). give_back: a frame that is not wanted. depth: how many may wait; 1: the newest.
    """

    def __init__(self, take: Callable[[], T | None], give_back: Callable[[T], None], depth: int) -> None:
        self._take, self._give_back, self._depth = take, give_back, depth
        self._changed = threading.Condition()
        self._frames: deque[T] = deque()
        self._error: Exception | None = None
        self._closing = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="grabber", daemon=True)
        self._thread.start()

    def next(self, wait_s: float) -> T | None:
        """The frame that waits, or the next one; None when none came in time. Raises what ended the thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._error, wait_s)
            if self._frames:
                return self._frames.popleft()
            if self._error is not None:
                raise self._error
            return None

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""
        with self._changed:
            if self._error is not None and not self._frames:
                raise self._error

    def clear(self) -> int:
        """Give back what waits. Returns how many that were."""
        with self._changed:
            frames = list(self._frames)
            self._frames.clear()
        for frame in frames:
            self._give_back(frame)
        return len(frames)

    def close(self) -> None:
        """End the thread, and give back what waits."""
        self._closing = True
        self._thread.join()
        self.clear()

    def _run(self) -> None:
        while not self._closing:
            try:
                frame = self._take()
            except Exception as error:  # the serving thread decides what it means
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            if frame is None:
                continue
            old = None
            with self._changed:
                if len(self._frames) >= self._depth:
                    old = self._frames.popleft()
                    self.dropped += 1
                self._frames.append(frame)
                self._changed.notify_all()
            if old is not None:
                self._give_back(old)


def monotonic_from_unix_ns(unix_ns: int) -> int:
    """A time of the system's clock on the clock that does not step."""
    return time.monotonic_ns() - (time.time_ns() - unix_ns)
