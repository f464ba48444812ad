"""The golden pictures again, on the model that serves: all at once on command, one between two parts on schedule."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from edge_runtime.daemon.model import ServingModel
from edge_runtime.daemon.status import Status
from edge_runtime.engines.golden import Reference, deviation
from edge_runtime.errors import EdgeError
from edge_runtime.monitoring.systemd import Watchdog

log = logging.getLogger(__name__)


class SelfTest:
    """See the module. Only the serving thread calls it. hours: from one on schedule to the next; 0: none.
    is_stopping: whether the end was asked for, for which no self-test is waited for."""

    def __init__(
        self,
        serving: ServingModel,
        status: Status,
        watchdog: Watchdog,
        hours: float,
        clock: Callable[[], float] = time.monotonic,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_stopping = is_stopping
        self._serving, self._status, self._watchdog, self._hours, self._clock = serving, status, watchdog, hours, clock
        self._due: deque[Reference] = deque()
        self._next_s = clock() + hours * 3600

    @property
    def is_running(self) -> bool:
        """Whether one on schedule has begun and has pictures left."""
        return bool(self._due)

    def conclude_first(self, once: bool) -> None:
        """The model passed its first self-test when it was loaded: the station is ready. Without an engine it is not,
        and says why.

        Raises GpuError when there is no engine and nobody waits for one (`once`).
        """
        model = self._serving.model
        self.start_over()
        if (missing := model.missing_engine) is not None:
            if once:
                raise missing
            log.error("%s; then send RELOAD, or restart this station", missing)
            self._status.note(started=True, self_test_passed=False, no_engine=True, missing=str(missing))
        else:
            log.info("%s", model.description)
            self._status.note(started=True, self_test_passed=True, bundle=model.bundle.label)
        self._watchdog.ready()

    def run(self) -> str:
        """All golden pictures now. Returns what to reply to the command."""
        model, worst = self._serving.model, 0.0
        self._status.note(testing=True)
        try:
            for reference in model.references:
                if self._is_stopping():
                    return "REFUSED;the station stops"
                self._watchdog.feed()
                worst = max(worst, deviation(model.engine, reference))
        except EdgeError as error:
            self._fail(error)
            return "FAILED;the self-test failed, see the log"
        finally:
            self._status.note(testing=False)
        self.start_over()
        self._status.note(self_test_passed=True)
        return f"DONE;largest deviation {worst:.3f} of the tolerance"

    def step(self) -> None:
        """One golden picture of the self-test on schedule, if it is due: no part waits for all of them."""
        model = self._serving.model
        if not self._due:
            if self._hours and self._clock() >= self._next_s:
                self.start_over()
                self._due.extend(model.references)
            return
        try:
            deviation(model.engine, self._due.popleft())
        except EdgeError as error:
            self._due.clear()
            self._fail(error)
            return
        if not self._due:
            log.info("the self-test on schedule passed")
            self._status.note(self_test_passed=True)

    def start_over(self) -> None:
        """Drop what is left of one on schedule; the next is due when its hours are over from now."""
        self._due.clear()
        self._next_s = self._clock() + self._hours * 3600

    def _fail(self, error: EdgeError) -> None:
        log.error("%s", error)
        self._status.note(self_test_passed=False)
