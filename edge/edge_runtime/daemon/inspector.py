"""A station at work: the steps that a picture goes through, and what a command does.

`serve()` takes the steps in order; here is what each does.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, field, replace

from edge_runtime.config.station import Station
from edge_runtime.daemon.events import EventQueue, Loaded, NotLoaded, Stop
from edge_runtime.daemon.model import Loader, Model, UnavailableEngine
from edge_runtime.daemon.requests import CAMERA, Capture, InspectionRequest
from edge_runtime.daemon.status import Status
from edge_runtime.daemon.trigger_gate import TriggerGate
from edge_runtime.daemon.trigger_modes import IDLE_S, TriggerMode
from edge_runtime.daemon.verdict_issuer import Stage, VerdictIssuer
from edge_runtime.engines.golden import Reference, deviation
from edge_runtime.errors import EdgeError
from edge_runtime.inspection.frame_history import FrameHistory
from edge_runtime.monitoring.counters import Counters
from edge_runtime.monitoring.systemd import Watchdog
from edge_runtime.mqtt.publisher import Publisher
from edge_runtime.records import Decision, ErrorCode, FailedFrame, Frame, NoFrame, Outcome, Verdict
from edge_runtime.sources.protocol import Source
from edge_runtime.storage.image_archive import ImageArchive
from edge_runtime.storage.spool import Spool
from edge_runtime.wire.commands import Command, without_folders

log = logging.getLogger(__name__)

REPLY_LENGTH = 80
CAPTURE_RESERVE_NS = 10_000_000  # a camera is given up so long before its order expires: the answer says more then


@dataclass
class Inspector:
    """Everything that serving needs, open and owned by `serve`. Only the serving thread calls it."""

    station: Station
    model: Model
    source: Source
    trigger_mode: TriggerMode
    spool: Spool
    publisher: Publisher
    trigger_gate: TriggerGate
    counters: Counters
    status: Status
    issuer: VerdictIssuer
    events: EventQueue
    loader: Loader
    watchdog: Watchdog
    history: FrameHistory
    archive: ImageArchive
    _last_bug: str = ""
    _references_due: deque[Reference] = field(default_factory=deque)
    _next_test_s: float = field(default_factory=time.monotonic)

    def start(self, once: bool = False) -> None:
        """The model passed its self-test: the station is ready. Without an engine it is not, and says why.

        Raises GpuError when there is no engine and nobody waits for one (`once`).
        """
        self._plan_self_test()
        if isinstance(self.model.engine, UnavailableEngine):
            if once:
                raise self.model.engine.reason
            missing = str(self.model.engine.reason)
            log.error("%s; then send RELOAD, or restart this station", missing)
            self.status.note(started=True, self_test_passed=False, no_engine=True, missing=missing)
        else:
            self._log_model()
            self.status.note(started=True, self_test_passed=True)
        self.watchdog.ready()

    def next_request(self, once: bool) -> InspectionRequest | None:
        """The next verdict to give: a trigger's, or what starts by itself. None: it is time to end.

        Waits when there is nothing to do. A trigger that was accepted before is still given.
        """
        while True:
            self.watchdog.feed()
            if self.events.stopping.is_set() or (once and self.status.conditions.exhausted):
                self.status.note(stopping=True)  # closes the desk
            c = self.status.conditions
            runs = not (c.paused or c.exhausted or c.stopping or not c.self_test_passed)
            match self.events.take(self._wait_s(runs)):
                case InspectionRequest() as request:
                    if self.issuer.is_open(request):  # otherwise it expired while it waited, and the part is gone
                        self.status.note(judging=True)
                        return request
                case Command() as command:
                    self.execute(command)
                case Loaded(model):
                    self._switch_to(model)
                case NotLoaded(reason):
                    self._send_reply(Command.RELOAD, self._not_reloaded(without_folders(reason)))
                case Stop():
                    pass
                case None if c.stopping:
                    if not self.trigger_gate.has_one_in_hand:
                        return None
                case None:
                    self._test_one_picture()
                    self._look_after_camera()
                    if runs and (own := self._own_request()) is not None:
                        return own

    def capture(self, request: InspectionRequest) -> Capture | None:
        """One frame for the order. None: it came from no trigger, and there are no more frames."""
        if request.capture is not None:
            return request.capture
        self.issuer.working_on(request, Stage.CAPTURE)
        left_ns = request.expires_ns - CAPTURE_RESERVE_NS - time.monotonic_ns()
        frame = self.source.next_frame(max(0, left_ns) / 1e9)
        now_ns = time.monotonic_ns()
        if frame is None:
            self.status.note(exhausted=True)
            if request.trigger is None:
                self.issuer.withdraw(request)
                return None
        if isinstance(frame, NoFrame):
            detail = f"no frame within {self.station.deadline_ms} ms (deadline_ms): {CAMERA}"
            frame = FailedFrame("", request.arrived_ns, ErrorCode.FRAME_MISSING, detail)
        return Capture(frame, now_ns)

    def judge(self, request: InspectionRequest, capture: Capture) -> Decision:
        """OK, NOK or ERROR; whatever goes wrong is ERROR."""
        self.issuer.working_on(request, Stage.JUDGE)
        frame = capture.frame
        if frame is None:
            return Decision(Outcome.ERROR, ErrorCode.FRAME_MISSING, detail="the source has no more pictures")
        if not self.status.conditions.self_test_passed:
            return Decision(Outcome.ERROR, ErrorCode.SELF_TEST_FAILED, detail="the self-test failed: see the log")
        if isinstance(frame, FailedFrame):
            decision = Decision(Outcome.ERROR, frame.error, detail=frame.detail)
        elif (fault := self.history.fault(frame, request.arrived_ns, capture.taken_ns)) is not None:
            decision = Decision(Outcome.ERROR, fault.error, detail=fault.detail)
        else:
            try:
                decision = self.model.judge(frame)
            except Exception as error:  # a bug, but a part is waiting for its answer: it gets ERROR, never silence
                self._log_bug(error, frame.name or str(frame.sequence))
                decision = Decision(
                    Outcome.ERROR, ErrorCode.JUDGING_FAILED, detail=f"{type(error).__name__}: {error}; see the log"
                )
        capture_us = (capture.taken_ns - frame.captured_ns) // 1000
        return replace(decision, timings=replace(decision.timings, capture_us=capture_us))

    def answer(self, request: InspectionRequest, capture: Capture, decision: Decision) -> Verdict | None:
        """Commit and publish the verdict, and say how the station is now. None: the order expired meanwhile."""
        frame = capture.frame
        source = frame.name if frame is not None else ""
        picture = self.archive.digest(decision.outcome, frame) if isinstance(frame, Frame) else ""
        file = frame.file if frame is not None else None
        verdict = self.issuer.issue(
            request, replace(decision, anomaly_map=None), source, capture.taken_ns, picture, file
        )
        if file is not None:
            self.source.committed(file)  # with this verdict, or with the one that the order got when it expired
        if verdict is not None and picture and isinstance(frame, Frame):
            self.archive.keep(verdict, frame, decision.anomaly_map)
        last_error = self.status.conditions.last_error if verdict is None else verdict.decision.error
        self.status.note(judging=False, engine_stuck=False, camera_stuck=False, last_error=last_error)
        return verdict

    def execute(self, command: Command) -> None:
        """Do what a command asks, and answer it. RELOAD is answered when the other model is loaded, or is not."""
        if command is Command.SELFTEST:
            self._reply(command, self._self_test())
        elif command is Command.PAUSE:
            self.status.note(paused=True)
            self._reply(command, "DONE")
        elif command is Command.RESUME:
            self.status.note(paused=False)
            self._reply(command, "DONE")
        elif not self.loader.start(lambda model: self.events.put(Loaded(model)), self._not_loaded):
            self._reply(command, "REFUSED;a model is being loaded already")

    def _log_bug(self, error: Exception, frame: str) -> None:
        """With its traceback, and once for as long as it is the same."""
        text = f"{type(error).__name__}: {error}"
        log.log(logging.DEBUG if text == self._last_bug else logging.ERROR, "judging %s failed", frame, exc_info=error)
        self._last_bug = text

    def _wait_s(self, runs: bool) -> float:
        """How long the inbox may be listened to."""
        if self._references_due or (self.status.conditions.stopping and not self.trigger_gate.has_one_in_hand):
            return 0.0
        return self.trigger_mode.wait_s() if runs else IDLE_S

    def _own_request(self) -> InspectionRequest | None:
        """What starts by itself now, if anything."""
        request = self.trigger_mode.next_request()
        if request is None:
            self.status.note(exhausted=True)
        if not isinstance(request, InspectionRequest):
            return None
        if request.trigger is not None:
            self.spool.accept(request.trigger)  # whatever happens now, it gets a verdict, after a restart at the latest
        self.issuer.track(request)
        return request

    def _look_after_camera(self) -> None:
        lost = self.source.problem() is not None
        if lost is not self.status.conditions.camera_lost:
            self.status.note(camera_lost=lost)

    def _self_test(self) -> str:
        """All golden pictures at once; what to reply."""
        self.status.note(testing=True)
        worst = 0.0
        try:
            for reference in self.model.references:
                self.watchdog.feed()
                worst = max(worst, deviation(self.model.engine, reference))
        except EdgeError as error:
            self._failed_test(error)
            return "FAILED;the self-test failed, see the log"
        finally:
            self.status.note(testing=False)
        self._references_due.clear()
        self._plan_self_test()
        self.status.note(self_test_passed=True)
        return f"DONE;largest deviation {worst:.3f} of the tolerance"

    def _test_one_picture(self) -> None:
        """The self-test on schedule: one golden picture between two parts, so that no part waits for all of them."""
        if not self._references_due:
            if self.station.self_test_hours and time.monotonic() >= self._next_test_s:
                self._references_due.extend(self.model.references)
                self._plan_self_test()
            return
        try:
            deviation(self.model.engine, self._references_due.popleft())
        except EdgeError as error:
            self._references_due.clear()
            self._failed_test(error)
            return
        if not self._references_due:
            log.info("the self-test on schedule passed")
            self.status.note(self_test_passed=True)

    def _plan_self_test(self) -> None:
        self._next_test_s = time.monotonic() + self.station.self_test_hours * 3600

    def _failed_test(self, error: EdgeError) -> None:
        log.error("%s", error)
        self.status.note(self_test_passed=False)

    def _switch_to(self, model: Model) -> None:
        """Between two pictures: from now on this model judges."""
        old, self.model = self.model, model
        self.issuer.serve_with(model.bundle.manifest)
        self._references_due.clear()
        self._plan_self_test()
        old.close()
        self._log_model()
        self.status.note(self_test_passed=True, no_engine=False)
        self._reply(Command.RELOAD, f"DONE;{model.bundle.label} serves")

    def _log_model(self) -> None:
        model, precision = self.model, self.station.precision.value
        log.info(
            "bundle %s serves: %s, threshold %.6g, by %s; golden pictures reproduced, largest deviation %.3f of the "
            "tolerance",
            *(model.bundle.label, precision, model.judge.threshold.score, model.engine.name, model.worst),
        )

    def _not_loaded(self, error: Exception) -> None:
        """In the loader's thread. Told here in full, with the traceback of a bug; the reply has less room."""
        result = self._not_reloaded(str(error))
        log.error("command RELOAD: %s", result, exc_info=None if isinstance(error, EdgeError) else error)
        self.events.put(NotLoaded(str(error)))

    def _not_reloaded(self, reason: str) -> str:
        return f"FAILED;{self.model.bundle.label} goes on: {reason}"

    def _reply(self, command: Command, result: str) -> None:
        log.info("command %s: %s", command.value, result)
        self._send_reply(command, result)

    def _send_reply(self, command: Command, result: str) -> None:
        text = f"{command.value};{result}".encode("ascii", "replace")[:REPLY_LENGTH]
        self.publisher.reply(self.station.topics.command_ack, text)
