"""`outputs:`: a line near the camera that is energised for a moment when a part is OK, and at no other time.

Rules:
- A pulse follows a fresh OK alone, when it is on the disk: none that is late, replayed, simulated, of a shadow or a
  golden picture, or of a degraded station.
- Off at the start, after `pulse_ms`, with any other verdict, and in any state in which the station does not judge. When
  the process ends, however it ends, the kernel gives the line back.
- It is no safety function, and a part must be REJECT without it, as it is without a message.

with Outputs(station.outputs) as outputs:
    outputs.verdict(verdict)
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

from edge_runtime.config.station import OutputSettings
from edge_runtime.errors import ConfigError, SourceError
from edge_runtime.records import Flag, Outcome, Verdict
from edge_runtime.threads import LockOrder, OrderedLock
from edge_runtime.wire.states import State, StateReport

log = logging.getLogger(__name__)

STALE = Flag.LATE | Flag.REPLAY | Flag.SIMULATED | Flag.SHADOW | Flag.GOLDEN | Flag.DEGRADED
JUDGES = (State.READY, State.BUSY, State.DEGRADED)


class Line(Protocol):
    """One output line of a chip, held by this process. Raises OSError."""

    def set(self, energised: bool) -> None:
        """Switch it."""

    def close(self) -> None:
        """Give it back."""


def open_line(settings: OutputSettings) -> Line:
    """The kernel's line, off. Raises ConfigError, SourceError."""
    try:
        import gpiod
        from gpiod.line import Direction, Value
    except ImportError as error:
        raise ConfigError(f"outputs: need gpiod ({error}): pip install 'edge-inspection[outputs]'") from error
    name = f"outputs: line {settings.line} of {settings.chip}"
    try:
        request = gpiod.request_lines(
            str(settings.chip),
            {
                settings.line: gpiod.LineSettings(
                    direction=Direction.OUTPUT, output_value=Value.INACTIVE, active_low=settings.active_low
                )
            },
            consumer="edge-daemon",
        )
    except FileNotFoundError as error:
        raise ConfigError(f"{name}: there is no such chip; `gpiodetect` lists them") from error
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{name} cannot be used: {error}; `gpioinfo` says who has it, and the user needs the group of the chip"
        ) from error
    return _KernelLine(request, settings.line, Value.ACTIVE, Value.INACTIVE)


class _KernelLine:
    def __init__(self, request: object, line: str | int, on: object, off: object) -> None:
        self._request, self._line, self._on, self._off = request, line, on, off

    def set(self, energised: bool) -> None:
        """See Line."""
        self._request.set_value(self._line, self._on if energised else self._off)  # type: ignore[attr-defined]

    def close(self) -> None:
        """See Line."""
        self._request.release()  # type: ignore[attr-defined]


class Outputs:
    """See the module. May be used from any thread; as a context it ends the pulses in a thread of its own.

    on_failure: called when a line cannot be switched any more; what it shows then is not known.
    """

    def __init__(
        self,
        settings: Sequence[OutputSettings],
        on_failure: Callable[[Exception], None],
        open_one: Callable[[OutputSettings], Line] = open_line,
    ) -> None:
        self._settings, self._on_failure, self._open_one = settings, on_failure, open_one
        self._lines: list[Line] = []
        self._changed = threading.Condition(OrderedLock(LockOrder.OUTPUTS))  # type: ignore[arg-type]  # it has what is used
        self._until_s: list[float | None] = [None] * len(settings)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="outputs", daemon=True)

    def verdict(self, verdict: Verdict) -> None:
        """A verdict is on the disk."""
        if verdict.decision.outcome is Outcome.OK and not verdict.flags & STALE:
            self._pulse()
        else:
            self._switch_off()

    def state(self, report: StateReport) -> None:
        """How the station is now."""
        if report.state not in JUDGES:
            self._switch_off()

    def __enter__(self) -> Outputs:
        try:
            for one in self._settings:
                self._lines.append(self._open_one(one))
        except BaseException:
            self._close()
            raise
        if self._lines:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._switch_off()
        self._close()

    def _pulse(self) -> None:
        with self._changed:
            for number, (line, one) in enumerate(zip(self._lines, self._settings, strict=False)):
                self._set(line, True)
                self._until_s[number] = time.monotonic() + one.pulse_ms / 1000
            self._changed.notify()

    def _switch_off(self) -> None:
        with self._changed:
            for number, line in enumerate(self._lines):
                self._set(line, False)
                self._until_s[number] = None

    def _run(self) -> None:
        with self._changed:
            while not self._closing:
                now_s = time.monotonic()
                for number, line in enumerate(self._lines):
                    until_s = self._until_s[number]
                    if until_s is not None and until_s <= now_s:
                        self._set(line, False)
                        self._until_s[number] = None
                waiting = [until_s for until_s in self._until_s if until_s is not None]
                self._changed.wait(max(0.0, min(waiting) - time.monotonic()) if waiting else None)

    def _set(self, line: Line, energised: bool) -> None:
        try:
            line.set(energised)
        except OSError as error:
            self._on_failure(
                SourceError(f"outputs: a line cannot be switched any more: {error}; check chip and wiring")
            )

    def _close(self) -> None:
        for line in self._lines:
            line.close()
        self._lines.clear()
