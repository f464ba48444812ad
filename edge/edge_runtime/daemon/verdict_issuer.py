"""Every request ends in exactly one verdict, by its deadline: the one place where verdicts are numbered and committed.

Rules:
- Whoever comes first answers a request: the serving thread with what was judged, or the deadline thread with ERROR.
- What comes for a request that is answered already is discarded and counted.
- A verdict is on the disk before it is counted, completed and published, and all of that happens in the order of seq.

with VerdictIssuer(...) as issuer:
    issuer.track(request)
    issuer.issue(request, decision)
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from types import TracebackType

from edge_runtime.bundle.manifest import Manifest
from edge_runtime.daemon.requests import CAMERA, FASTER, InspectionRequest
from edge_runtime.daemon.status import Status
from edge_runtime.errors import RecordError, StorageError
from edge_runtime.monitoring.clock import Clock
from edge_runtime.monitoring.counters import Counters
from edge_runtime.monitoring.log import LogThrottle
from edge_runtime.mqtt.publisher import Publisher
from edge_runtime.readable import escaped, readable
from edge_runtime.records import Decision, ErrorCode, Flag, Outcome, PictureFile, Verdict
from edge_runtime.storage.spool import Spool
from edge_runtime.threads import LockOrder, OrderedLock
from edge_runtime.wire.commands import Trigger

log = logging.getLogger(__name__)


class Stage(Enum):
    """What the serving thread is doing with the request in hand."""

    CAPTURE = "capture"
    JUDGE = "judge"


class VerdictIssuer:
    """See the module. May be used from any thread; as a context it watches the deadlines in a thread of its own.

    complete: called with each verdict that answers a trigger. on_committed: called with each verdict as soon as it is
    on the disk. on_failure: called with what ended the deadline thread, if anything but the context's end did.
    simulated: whether the frames are recordings.
    """

    def __init__(
        self,
        recipe: int,
        manifest: Manifest,
        spool: Spool,
        publisher: Publisher,
        counters: Counters,
        status: Status,
        complete: Callable[[Verdict], None],
        on_failure: Callable[[Exception], None],
        clock: Clock,
        simulated: bool = False,
        on_committed: Callable[[Verdict], None] = lambda verdict: None,
    ) -> None:
        self._recipe, self._manifest, self._spool, self._publisher = recipe, manifest, spool, publisher
        self._counters, self._status, self._complete, self._on_failure = counters, status, complete, on_failure
        self._clock, self._simulated = clock, Flag.SIMULATED if simulated else 0
        self.on_committed = on_committed
        self._throttle = LogThrottle()
        self._changed = threading.Condition(OrderedLock(LockOrder.ISSUER))  # type: ignore[arg-type]  # it has what is used
        self._open: dict[int, InspectionRequest] = {}
        self._working: tuple[InspectionRequest, Stage] | None = None
        self._closing = False
        self._wakes_ns = math.inf  # when the deadline thread looks again by itself
        self._thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)

    def __enter__(self) -> VerdictIssuer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    @property
    def manifest(self) -> Manifest:
        """Of the bundle that verdicts name now."""
        return self._manifest

    def serve_with(self, manifest: Manifest) -> None:
        """From now on verdicts name this bundle."""
        with self._changed:
            self._manifest = manifest

    def accept(self, trigger: Trigger) -> None:
        """Write a trigger to the disk: from now on it gets a verdict, after a restart at the latest. `track` follows.

        Raises StorageError.
        """
        self._spool.accept(trigger)

    def track(self, request: InspectionRequest) -> None:
        """From now on the request will be answered, if need be by an ERROR when it expires."""
        with self._changed:
            self._open[id(request)] = request
            if request.expires_ns < self._wakes_ns:  # nearly never: waking a thread costs what judging could use
                self._changed.notify()

    def is_open(self, request: InspectionRequest) -> bool:
        """Whether it still waits for its answer."""
        with self._changed:
            return id(request) in self._open

    def withdraw(self, request: InspectionRequest) -> None:
        """There is nothing to answer after all: a request without a trigger, and no more pictures."""
        with self._changed:
            self._open.pop(id(request), None)

    def working_on(self, request: InspectionRequest, stage: Stage) -> None:
        """What the serving thread does next, so that an expired request can say what it waited for."""
        self._working = (request, stage)

    def issue(
        self,
        request: InspectionRequest,
        decision: Decision,
        source: str = "",
        taken_ns: int | None = None,
        picture: str = "",
        file: PictureFile | None = None,
    ) -> Verdict | None:
        """Number, commit and publish the answer to a request. None: it has one already, and this one is discarded.

        file: the one that the frame came from, if it may be judged only once.
        Raises StorageError: then no verdict was issued.
        """
        with self._changed:
            return self._issue(request, decision, source, taken_ns, picture, file)

    def _issue(
        self,
        request: InspectionRequest,
        decision: Decision,
        source: str,
        taken_ns: int | None,
        picture: str,
        file: PictureFile | None,
    ) -> Verdict | None:
        """As `issue`, with the lock held: seq, commit and the rest stay in one sequence, whichever thread comes."""
        if self._open.get(id(request)) is not request:
            self._counters.count_discarded()
            log.debug("%s: %s came too late and is discarded", _name(request), decision.outcome.name)
            return None
        verdict = self._verdict(request, decision, source, picture)
        began_ns = time.monotonic_ns()
        try:
            verdict = self._commit(verdict, file)
        except StorageError:
            self._status.note(storage_failed=True)
            raise
        del self._open[id(request)]
        done_ns = time.monotonic_ns()
        timings = replace(verdict.decision.timings, commit_us=(done_ns - began_ns) // 1000)
        verdict = replace(verdict, decision=replace(verdict.decision, timings=timings))
        if done_ns > request.deadline_ns:  # the disk was slow; what is on it does not say so
            verdict = replace(verdict, flags=verdict.flags | Flag.LATE)
        self.on_committed(verdict)
        self._counters.count(verdict)
        if request.trigger is not None:
            self._complete(verdict)
        self._publisher.publish(verdict, done_ns if taken_ns is None else taken_ns)
        self._log_trouble(request, verdict, done_ns)
        return verdict

    def _commit(self, verdict: Verdict, file: PictureFile | None) -> Verdict:
        """Commit it; or, if it could not be read again, an ERROR in its place. Returns what was committed."""
        try:
            self._spool.commit(verdict, file)
        except RecordError as error:
            log.exception("verdict %d cannot be written as a record", verdict.seq)
            decision = Decision(Outcome.ERROR, ErrorCode.JUDGING_FAILED, detail=f"{error}; see the log")
            verdict = replace(verdict, decision=decision, source="", picture="")
            self._spool.commit(verdict, file)
        return verdict

    def _verdict(self, request: InspectionRequest, decision: Decision, source: str, picture: str) -> Verdict:
        now_ns, trigger = time.monotonic_ns(), request.trigger
        late = now_ns > request.deadline_ns or decision.error is ErrorCode.DEADLINE_MISSED
        if late and request.is_binding and decision.outcome is not Outcome.ERROR:
            waited = f"{_ms(request, now_ns)} ms (deadline_ms {request.deadline_ms})"
            detail = f"{decision.outcome.name} came after {waited}: {FASTER}"
            decision = Decision(Outcome.ERROR, ErrorCode.DEADLINE_MISSED, timings=decision.timings, detail=detail)
        decision = replace(decision, detail=readable(decision.detail))
        flags = self._simulated | (Flag.LATE if late else 0) | (0 if self._clock.is_synchronised() else Flag.UNSYNCED)
        return Verdict(
            seq=self._spool.next_seq,
            decision=decision,
            bundle=self._manifest.name,
            bundle_version=self._manifest.version,
            unix_ms=self._clock.unix_ms(),
            boot_id=self._spool.boot_id,
            latency_us=(now_ns - request.arrived_ns) // 1000,
            trigger_id=trigger.trigger_id if trigger is not None else 0,
            recipe=self._recipe,
            part_id=trigger.part_id if trigger is not None else "",
            flags=flags,
            source=escaped(source),
            picture=picture,
        )

    def _log_trouble(self, request: InspectionRequest, verdict: Verdict, done_ns: int) -> None:
        """Why parts are rejected without being judged, or judged too late: each when it begins, and every minute."""
        decision, of = verdict.decision, verdict.source or _name(request)
        if decision.error is not ErrorCode.NONE:
            if self._throttle.is_due(decision.error):
                log.warning("verdict %d ERROR %03d (%s): %s", verdict.seq, decision.error, of, decision.detail)
        elif verdict.flags & Flag.LATE and self._throttle.is_due(Flag.LATE):
            decided_ms, done_ms = verdict.latency_us // 1000, _ms(request, done_ns)
            log.warning(
                "verdict %d %s (%s) is late: decided after %d ms, on the disk after %d ms (deadline_ms %d): %s",
                *(verdict.seq, decision.outcome.name, of, decided_ms, done_ms, request.deadline_ms),
                "check the disk" if decided_ms < request.deadline_ms else FASTER,
            )

    def _watch(self) -> None:
        try:
            with self._changed:
                while not self._closing:
                    first = min(self._open.values(), key=lambda request: request.expires_ns, default=None)
                    self._wakes_ns = math.inf if first is None else first.expires_ns
                    left_s = (self._wakes_ns - time.monotonic_ns()) / 1e9
                    if first is None:
                        self._changed.wait()
                    elif left_s > 0:
                        self._changed.wait(left_s)
                    else:
                        self._expire(first)
        except Exception as error:  # whatever it is, the serving thread must not go on unheard
            self._on_failure(error)

    def _expire(self, request: InspectionRequest) -> None:
        """A request has waited for too long: it gets ERROR, and what the station waits for shows in its state."""
        working = self._working
        stage = working[1] if working is not None and working[0] is request else None
        code = ErrorCode.DEADLINE_MISSED if request.is_binding else ErrorCode.ENGINE_HUNG
        if stage is Stage.CAPTURE:
            code = ErrorCode.FRAME_MISSING
        detail = _why_expired(request, stage, _ms(request, time.monotonic_ns()))
        frame = request.capture.frame if request.capture else None
        source, file = (frame.name, frame.file) if frame else ("", None)
        self._issue(request, Decision(Outcome.ERROR, code, detail=detail), source, None, "", file)
        if stage is None:
            self._status.note(last_error=code)
        else:
            self._status.note(last_error=code, camera_stuck=stage is Stage.CAPTURE, engine_stuck=stage is Stage.JUDGE)


def _why_expired(request: InspectionRequest, stage: Stage | None, waited_ms: int) -> str:
    """What a request waited for, and what to do. stage: what was done with it; None: nothing yet."""
    within = f"within {waited_ms} ms (deadline_ms {request.deadline_ms})"
    if stage is Stage.CAPTURE:
        return f"the camera has not delivered {within}: {CAMERA}"
    if not request.is_binding:
        return f"the engine has not answered {within}, it hangs: check the GPU and its driver"
    if stage is Stage.JUDGE:
        return f"the engine has not answered {within}: {FASTER}"
    return f"an earlier part was still in hand, so this one was not begun {within}: trigger less often, or {FASTER}"


def _ms(request: InspectionRequest, now_ns: int) -> int:
    return (now_ns - request.arrived_ns) // 1_000_000


def _name(request: InspectionRequest) -> str:
    return "a frame" if request.trigger is None else f"trigger {request.trigger.trigger_id}"
