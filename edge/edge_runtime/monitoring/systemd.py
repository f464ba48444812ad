"""What systemd hears: READY=1 after the self-test, WATCHDOG=1 on progress, STOPPING=1 at the end (sd_notify(3)).

Only the serving thread feeds the watchdog, at each turn of its loop, and only while the network thread lives; whatever
hangs there is ended and started again by systemd (WatchdogSec). Without systemd nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping


def notify_systemd(text: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send one notification; nothing happens without NOTIFY_SOCKET, or when systemd does not listen."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        try:
            out.connect("\0" + address[1:] if address.startswith("@") else address)
            out.send(text.encode())
        except OSError:
            return  # an unfed watchdog ends the process; there is nothing better to do here


def watchdog_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Within which time systemd wants to be fed; None: it does not watch this process."""
    for_whom = environ.get("WATCHDOG_PID", "")
    if not environ.get("WATCHDOG_USEC", "").isdigit() or for_whom not in ("", str(os.getpid())):
        return None
    return int(environ["WATCHDOG_USEC"]) / 1e6


class Watchdog:
    """Reports progress to systemd, a few times within the time that it wants to be fed in."""

    def __init__(
        self,
        period_s: float | None = None,
        notify: Callable[[str], None] = notify_systemd,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s = None if period_s is None else period_s / 4
        self._notify, self._clock = notify, clock
        self._next_s = clock()
        self._is_well: Callable[[], bool] = lambda: True

    def require(self, is_well: Callable[[], bool]) -> None:
        """From now on progress counts only while this holds, too: of a thread without which the daemon is deaf."""
        self._is_well = is_well

    def ready(self) -> None:
        """The self-test passed: whoever waits for this unit may go on."""
        self._notify("READY=1")

    def feed(self) -> None:
        """There was progress."""
        if self._every_s is not None and (now := self._clock()) >= self._next_s:
            self._next_s = now + self._every_s
            if self._is_well():
                self._notify("WATCHDOG=1")

    def stopping(self) -> None:
        """The end was asked for."""
        self._notify("STOPPING=1")
