"""What goes on and on is told when it begins, and again every minute: a log that a person reads to the end.

seldom = LogThrottle()
if seldom.is_due(ErrorCode.FRAME_BLACK):
    log.warning("too dark")
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

EVERY_S = 60.0


class LogThrottle:
    """Remembers when each thing was told last. To be used by one thread at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_s: dict[Hashable, float] = {}

    def is_due(self, what: Hashable) -> bool:
        """Whether this is to be told now; the caller then tells it."""
        now_s = self._clock()
        told_s = self._told_s.get(what)
        if told_s is not None and now_s - told_s < EVERY_S:
            return False
        self._told_s[what] = now_s
        return True
