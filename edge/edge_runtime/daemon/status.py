"""How the station is: what is true of it, and the state that follows. Any thread may note a change."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from edge_runtime.daemon.trigger_gate import TriggerGate
from edge_runtime.monitoring.log import LogThrottle
from edge_runtime.records import ErrorCode
from edge_runtime.threads import LockOrder, OrderedLock
from edge_runtime.wire.states import Conditions, State, StateReport, report_from

log = logging.getLogger(__name__)

WORSE = (State.READY, State.DEGRADED, State.NOTREADY, State.FAULT)  # from good to bad, as far as parts show it


class Status:
    """Keeps the conditions, opens and closes the trigger gate by them, and publishes each new state.

    takes_triggers: whether the station's mode does; otherwise the gate stays closed.

    The log has each change, but little of what may change with each part: BUSY never; what an error made worse once a
    minute at most, and the way back only if that was logged.
    """

    def __init__(
        self,
        publish_state: Callable[[StateReport], None],
        trigger_gate: TriggerGate,
        takes_triggers: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish_state, self._trigger_gate, self._takes_triggers = publish_state, trigger_gate, takes_triggers
        self.part_offset: float | None = None  # pixels from the good parts' mean place, for the figures
        self._lock = OrderedLock(LockOrder.STATUS)
        self._conditions = Conditions()
        self._shown = report_from(self._conditions)
        self._logged, self._throttle = self._shown.state, LogThrottle(clock)

    @property
    def conditions(self) -> Conditions:
        """What is true now."""
        return self._conditions

    @property
    def report(self) -> StateReport:
        """The state as it was shown last."""
        return self._shown

    def note(self, **changes: bool | str | ErrorCode) -> None:
        """Something changed; show the new state, if it is one."""
        with self._lock:
            self._conditions = replace(self._conditions, **changes)  # type: ignore[arg-type]  # mypy cannot see names
            report = report_from(self._conditions)
            self._trigger_gate.open(report.accepts_triggers and self._takes_triggers, self._why_closed(report))
            before, self._shown = self._shown, report
            if report != before:
                self._publish_state(report)
            self._log(report)

    def _why_closed(self, report: StateReport) -> str:
        if not self._takes_triggers:
            return "the station's mode takes none; mode: triggered does"
        return f"the state is {report.payload().decode('ascii')}"

    def _log(self, report: StateReport) -> None:
        if report.state in (self._logged, State.BUSY):
            return
        if self._is_worse(report) and not self._throttle.is_due((report.state, report.error)):
            return
        self._logged = report.state
        level = logging.ERROR if report.state is State.FAULT else logging.INFO
        log.log(level, "state %s", report.payload().decode("ascii"))

    def _is_worse(self, report: StateReport) -> bool:
        """By an error, than what was logged last."""
        if report.error is ErrorCode.NONE or self._logged not in WORSE:
            return False
        return WORSE.index(report.state) > WORSE.index(self._logged)
