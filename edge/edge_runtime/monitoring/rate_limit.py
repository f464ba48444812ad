"""How often something may be done: so many times a second on average, and so many at once.

>>> limit = RateLimit(per_s=10.0, at_once=2, clock=lambda: 0.0)
>>> limit.allows(), limit.allows(), limit.allows()
(True, True, False)
"""

from __future__ import annotations

import time
from collections.abc import Callable


class RateLimit:
    """See the module. To be used by one thread."""

    def __init__(self, per_s: float, at_once: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._at_once, self._clock = per_s, at_once, clock
        self._left, self._counted_s = float(at_once), clock()

    def allows(self) -> bool:
        """Whether it may be done now; it is then counted as done."""
        now_s = self._clock()
        self._left = min(self._at_once, self._left + (now_s - self._counted_s) * self._per_s)
        self._counted_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
