"""Which thread may call an object that has no lock: the first one that does. docs/explanation/threads.md has them all.

self._owner = OwnerThread("the inspector")
self._owner.check()                       # at the beginning of each method
"""

from __future__ import annotations

import threading


class OwnerThread:
    """Bound to the first thread that checks. A call from another is a bug, and raises RuntimeError."""

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
