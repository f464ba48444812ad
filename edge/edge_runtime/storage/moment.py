"""When something happened, by a clock that nobody sets: the time since this machine was switched on.

UTC steps: a board without a battery wakes up in the past, NTP and people correct it. Ages of answers rest on this.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

KERNEL_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # random(4): another one after each start of the machine


@dataclass(frozen=True)
class Moment:
    """machine_start: which start of the machine; empty if that is not known. since_ms: after it, sleep included."""

    machine_start: str
    since_ms: int

    def age_ms(self, then: Moment) -> int | None:
        """How long ago `then` was; None when it was before the machine was last switched on, so nobody knows."""
        if not self.machine_start or then.machine_start != self.machine_start or then.since_ms > self.since_ms:
            return None
        return self.since_ms - then.since_ms


def moment_now() -> Moment:
    """This moment."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    try:
        start = KERNEL_BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        start = ""
    return Moment(start, time.clock_gettime_ns(clock) // 1_000_000)
