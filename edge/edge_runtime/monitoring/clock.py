"""Whether UTC can be trusted: the kernel knows if something (chrony, timesyncd, PTP) keeps its clock synchronised."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

TIME_ERROR = 5  # adjtimex(2): not synchronised
ASK_EVERY_S = 10.0


def kernel_says_synchronised() -> bool:
    """Ask adjtimex(2), which sets nothing here. False also when the kernel does not answer."""
    buffer = ctypes.create_string_buffer(512)  # struct timex, larger than on any platform; zeroed: modes = 0, read only
    try:
        state = int(ctypes.CDLL(None).adjtimex(buffer))
    except (OSError, AttributeError):  # no such call on this system
        return False
    return 0 <= state != TIME_ERROR


class Clock:
    """UTC for stamps, with the doubt that it deserves; asked for each verdict, it asks the kernel now and then."""

    def __init__(
        self,
        synchronised: Callable[[], bool] = kernel_says_synchronised,
        time_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._time_ns, self._monotonic = synchronised, time_ns, monotonic
        self._synchronised, self._ask_again_s = synchronised(), monotonic() + ASK_EVERY_S

    def unix_ms(self) -> int:
        """UTC now. It may step; nothing but stamps is made of it."""
        return self._time_ns() // 1_000_000

    def is_synchronised(self) -> bool:
        """Whether something keeps it right."""
        if (now := self._monotonic()) >= self._ask_again_s:
            self._synchronised, self._ask_again_s = self._ask(), now + ASK_EVERY_S
        return self._synchronised
