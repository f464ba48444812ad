"""What keeps the daemon's threads out of each other's way, asserted: who owns what has no lock, and the order of locks.

    self._owner = OwnerThread("the inspector")
    self._owner.check()                       # at the beginning of each method

    self._lock = OrderedLock(LockOrder.STATUS)
    with self._lock: ...

Both raise RuntimeError at the first wrong call, in whatever test or run it happens, long before two threads meet.
docs/explanation/threads.md has all threads and what each may wait for.
"""

from __future__ import annotations

import threading
from enum import IntEnum
from types import TracebackType


class LockOrder(IntEnum):
    """A thread that holds a lock may take those below it in this list, and no other."""

    ISSUER = 1
    STATUS = 2
    TRIGGER_GATE = 3
    SPOOL = 4
    COUNTERS = 5
    OUTPUTS = 6


class OwnerThread:
    """Bound to the first thread that checks. A call from another is a bug."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Raises RuntimeError in any other thread than the first."""
        thread = threading.current_thread()
        if self._thread is None:
            self._thread = thread
        elif self._thread is not thread:
            raise RuntimeError(
                f"{self._what} belongs to the thread {self._thread.name!r}, and {thread.name!r} called: this is a bug"
            )


class _Held(threading.local):
    def __init__(self) -> None:
        self.places: list[LockOrder] = []


_held = _Held()  # by the current thread


class OrderedLock:
    """A lock with its place in the order. Not reentrant."""

    def __init__(self, place: LockOrder) -> None:
        self._place, self._lock = place, threading.Lock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As threading.Lock. Raises RuntimeError where waiting for it could last for ever."""
        if blocking and _held.places and _held.places[-1] >= self._place:
            raise RuntimeError(
                f"the lock {self._place.name} is taken by a thread that holds {_held.places[-1].name}: this is a bug"
            )
        taken = self._lock.acquire(blocking, timeout)
        if taken:
            _held.places.append(self._place)
        return taken

    def release(self) -> None:
        """As threading.Lock; by the thread that took it."""
        _held.places.remove(self._place)
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
