"""A station at work: the detector, the source, the spool and the publisher, and the steps that a picture goes through.

`serve()` takes the steps in order; here is what each does.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace

from edge_runtime.bundle import Bundle
from edge_runtime.engine import Engine
from edge_runtime.errors import EdgeError, StorageError
from edge_runtime.golden import replay_golden
from edge_runtime.inbox import Inbox, Order, Stop
from edge_runtime.judge import Judge
from edge_runtime.messages import Command
from edge_runtime.publisher import Publisher
from edge_runtime.records import Decision, ErrorCode, Flag, Frame, LostFrame, Outcome, Verdict
from edge_runtime.source import Source
from edge_runtime.spool import Spool
from edge_runtime.states import Conditions, StateReport, report_from
from edge_runtime.station import Station
from edge_runtime.tally import Tally
from edge_runtime.trigger_desk import TriggerDesk

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shot:
    """What the source gave for an order, and when it was in hand. None: the source has no more."""

    frame: Frame | LostFrame | None
    taken_ns: int


@dataclass
class Inspector:
    """Everything that serving needs, open and owned by `serve`. Only the serving thread calls it."""

    station: Station
    bundle: Bundle
    engine: Engine
    judge_frame: Judge
    source: Source
    spool: Spool
    publisher: Publisher
    desk: TriggerDesk
    tally: Tally
    inbox: Inbox
    conditions: Conditions = field(default_factory=Conditions)
    _shown: StateReport = field(default_factory=lambda: report_from(Conditions()))

    def self_test(self) -> float:
        """Replay the golden pictures; only then is the station ready. Raises what replay_golden raises."""
        try:
            worst = replay_golden(self.bundle, self.engine, self.station.precision)
        except EdgeError:
            self.note(started=True, self_test_passed=False)
            raise
        self.note(started=True, self_test_passed=True)
        return worst

    def next_order(self, once: bool) -> Order | None:
        """The next verdict to give: a trigger's, or the next frame's when free-running. None: it is time to end.

        Waits when there is nothing to do. A trigger that was accepted before is still given.
        """
        while True:
            if self.inbox.stopping.is_set() or (once and self.conditions.exhausted):
                self.note(stopping=True)  # closes the desk
            c = self.conditions
            runs = self._free_running and not (c.paused or c.exhausted or c.stopping)
            match self.inbox.take(wait=not runs and (not c.stopping or self.desk.has_one_in_hand)):
                case Order() as order:
                    self.note(judging=True)
                    return order
                case Command() as command:
                    self.obey(command)
                case None:
                    return None if c.stopping else Order(None, time.monotonic_ns())
                case Stop():
                    pass

    def capture(self, order: Order) -> Shot:
        """One frame for the order."""
        frame = self.source.next_frame()
        if frame is None:
            self.note(exhausted=True)
        return Shot(frame, time.monotonic_ns())

    def judge(self, shot: Shot) -> Decision:
        """OK, NOK or ERROR; whatever goes wrong is ERROR."""
        frame = shot.frame
        if frame is None:
            return Decision(Outcome.ERROR, ErrorCode.FRAME_MISSING, detail="the source has no more pictures")
        if isinstance(frame, LostFrame):
            decision = Decision(Outcome.ERROR, frame.error, detail=frame.detail)
        else:
            try:
                decision = self.judge_frame(frame)
            except Exception as error:  # a bug, but a part is waiting for its answer: it gets ERROR, never silence
                log.exception("judging %s failed", frame.name or frame.sequence)
                decision = Decision(
                    Outcome.ERROR, ErrorCode.JUDGING_FAILED, detail=f"{type(error).__name__}: {error}; see the log"
                )
        capture_us = (shot.taken_ns - frame.captured_ns) // 1000
        return replace(decision, timings=replace(decision.timings, capture_us=capture_us))

    def commit(self, order: Order, shot: Shot, decision: Decision) -> Verdict:
        """Number the decision and write it to the disk. Raises StorageError: then nothing was given out."""
        frame, trigger, manifest = shot.frame, order.trigger, self.bundle.manifest
        began_ns = order.arrived_ns if trigger is not None or frame is None else frame.captured_ns
        commit_ns = time.monotonic_ns()
        latency_us = (commit_ns - began_ns) // 1000
        late = latency_us > self.station.deadline_ms * 1000
        if late and trigger is not None:
            detail = f"{decision.outcome.name} came after {latency_us // 1000} ms: too slow for the deadline"
            decision = Decision(Outcome.ERROR, ErrorCode.DEADLINE_MISSED, timings=decision.timings, detail=detail)
        verdict = Verdict(
            seq=self.spool.next_seq,
            decision=decision,
            bundle=manifest.name,
            bundle_version=manifest.version,
            unix_ms=time.time_ns() // 1_000_000,
            boot_id=self.spool.boot_id,
            latency_us=latency_us,
            trigger_id=trigger.trigger_id if trigger is not None else 0,
            recipe=self.station.recipe,
            part_id=trigger.part_id if trigger is not None else "",
            flags=Flag.LATE if late else 0,
            source=frame.name if frame is not None else "",
        )
        try:
            self.spool.commit(verdict)
        except StorageError:
            self.note(storage_failed=True)
            raise
        self.tally.count(verdict)
        if trigger is not None:
            self.desk.settle(verdict)
        timings = replace(decision.timings, commit_us=(time.monotonic_ns() - commit_ns) // 1000)
        return replace(verdict, decision=replace(decision, timings=timings))

    def publish(self, verdict: Verdict, shot: Shot) -> None:
        """Hand the verdict to the publisher, and say how the station is now."""
        self.publisher.publish(verdict, shot.taken_ns)
        self.note(judging=False, last_error=verdict.decision.error)

    def obey(self, command: Command) -> None:
        """Do what a command asks, and answer it."""
        result = "DONE"
        if command is Command.SELFTEST:
            try:
                result = f"DONE;largest deviation {self.self_test():.3f} of the tolerance"
            except EdgeError as error:
                log.error("%s", error)
                result = "FAILED;the self-test failed, see the log"
        elif command is Command.PAUSE:
            self.note(paused=True)
        elif command is Command.RESUME:
            self.note(paused=False)
        else:
            result = "REFUSED;restart the daemon to load another bundle"
        log.info("command %s: %s", command.value, result)
        self.publisher.say(self.station.topics.command_ack, f"{command.value};{result}".encode("ascii"))

    def note(self, **changes: bool | ErrorCode) -> None:
        """Something about the station changed; show the new state, if it is one."""
        self.conditions = replace(self.conditions, **changes)  # type: ignore[arg-type]  # mypy cannot see the names
        report = report_from(self.conditions)
        self.desk.open(report.accepts_triggers and not self._free_running)
        if report != self._shown:
            self._shown = report
            self.publisher.show(report)

    @property
    def _free_running(self) -> bool:
        return self.station.mode == "free-running"
