"""What the serving thread does next: a trigger's request, a request that starts by itself, a command, or the end.

Between two requests it also looks after the camera and takes one picture of a self-test on schedule.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_runtime.daemon.command_handler import CommandHandler
from edge_runtime.daemon.events import EventQueue, Loaded, NotLoaded, Stop
from edge_runtime.daemon.requests import InspectionRequest
from edge_runtime.daemon.self_test import SelfTest
from edge_runtime.daemon.status import Status
from edge_runtime.daemon.trigger_gate import TriggerGate
from edge_runtime.daemon.trigger_modes import IDLE_S, TriggerMode
from edge_runtime.daemon.verdict_issuer import VerdictIssuer
from edge_runtime.monitoring.systemd import Watchdog
from edge_runtime.sources.protocol import Source
from edge_runtime.threads import OwnerThread
from edge_runtime.wire.commands import Command


@dataclass
class Dispatcher:
    """See the module. Only the serving thread calls it."""

    events: EventQueue
    trigger_mode: TriggerMode
    trigger_gate: TriggerGate
    issuer: VerdictIssuer
    source: Source
    self_test: SelfTest
    commands: CommandHandler
    status: Status
    watchdog: Watchdog
    _owner: OwnerThread = field(default_factory=lambda: OwnerThread("the dispatcher"))

    def next_request(self, once: bool) -> InspectionRequest | None:
        """The next request to answer. None: it is time to end.

        Waits while there is nothing to do, and executes commands. A trigger that was accepted before the end was asked
        for is still returned. once: end with the source's last frame.
        """
        self._owner.check()
        while True:
            self.watchdog.feed()
            if self.events.stopping.is_set() or (once and self.status.conditions.exhausted):
                self.status.note(stopping=True)  # closes the trigger gate
            c = self.status.conditions
            runs = not (c.paused or c.exhausted or c.stopping or not c.self_test_passed)
            match self.events.take(self._wait_s(runs)):
                case InspectionRequest() as request:
                    if self.issuer.is_open(request):  # otherwise it expired while it waited, and the part is gone
                        self.status.note(judging=True)
                        return request
                case Command() as command if c.stopping:
                    self.commands.refuse(command, "the station stops")
                case Command() as command:
                    self.commands.execute(command)
                case Loaded(model, edits):
                    self.commands.loaded(model, edits)
                case NotLoaded(reason, edits):
                    self.commands.not_loaded(reason, edits)
                case Stop():
                    pass
                case None if c.stopping:
                    if not self.trigger_gate.has_one_in_hand:
                        return None
                case None:
                    self.self_test.step()
                    self.check_camera()
                    if runs and (own := self._request_of_its_own()) is not None:
                        return own

    def check_camera(self) -> None:
        """Let a camera that is lost try to come back, and note how it is."""
        lost = self.source.problem() is not None
        if lost is not self.status.conditions.camera_lost:
            self.status.note(camera_lost=lost)

    def _wait_s(self, runs: bool) -> float:
        """How long to wait for an event."""
        if self.self_test.is_running or (self.status.conditions.stopping and not self.trigger_gate.has_one_in_hand):
            return 0.0
        return self.trigger_mode.wait_s() if runs else IDLE_S

    def _request_of_its_own(self) -> InspectionRequest | None:
        """What starts by itself now, if anything."""
        request = self.trigger_mode.next_request()
        if request is None:
            self.status.note(exhausted=True)
        if not isinstance(request, InspectionRequest):
            return None
        if request.trigger is not None:
            self.issuer.accept(request.trigger)
        self.issuer.track(request)
        return request
