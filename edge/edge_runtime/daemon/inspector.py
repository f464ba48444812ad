"""The steps of one inspection: capture a frame, judge it, answer the request. `serve()` takes them in this order."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace

from edge_runtime.daemon.model import ServingModel
from edge_runtime.daemon.requests import CAMERA, CAPTURE_RESERVE_NS, Capture, InspectionRequest
from edge_runtime.daemon.status import Status
from edge_runtime.daemon.verdict_issuer import Stage, VerdictIssuer
from edge_runtime.inspection.frame_history import FrameHistory
from edge_runtime.records import Decision, ErrorCode, FailedFrame, Frame, NoFrame, Outcome, Verdict
from edge_runtime.sources.protocol import Source
from edge_runtime.storage.image_archive import ImageArchive
from edge_runtime.threads import OwnerThread

log = logging.getLogger(__name__)


@dataclass
class Inspector:
    """See the module. Only the serving thread calls it."""

    source: Source
    serving: ServingModel
    history: FrameHistory
    issuer: VerdictIssuer
    archive: ImageArchive
    status: Status
    _last_bug: str = ""
    _owner: OwnerThread = field(default_factory=lambda: OwnerThread("the inspector"))

    def capture(self, request: InspectionRequest) -> Capture | None:
        """One frame for the request. None: it came from no trigger, and there are no more frames."""
        self._owner.check()
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
            detail = f"no frame within {request.deadline_ms} ms (deadline_ms): {CAMERA}"
            frame = FailedFrame("", request.arrived_ns, ErrorCode.FRAME_MISSING, detail)
        return Capture(frame, now_ns)

    def judge(self, request: InspectionRequest, capture: Capture) -> Decision:
        """OK, NOK or ERROR; whatever goes wrong is ERROR."""
        self._owner.check()
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
            decision = self._decide(frame)
        capture_us = (capture.taken_ns - frame.captured_ns) // 1000
        return replace(decision, timings=replace(decision.timings, capture_us=capture_us))

    def answer(self, request: InspectionRequest, capture: Capture, decision: Decision) -> Verdict | None:
        """Commit and publish the verdict, and note how the station is now. None: the request expired meanwhile."""
        self._owner.check()
        frame = capture.frame
        source = frame.name if frame is not None else ""
        picture = self.archive.digest(decision.outcome, frame) if isinstance(frame, Frame) else ""
        file = frame.file if frame is not None else None
        without_map = replace(decision, anomaly_map=None)
        verdict = self.issuer.issue(request, without_map, source, capture.taken_ns, picture, file)
        if file is not None:
            self.source.committed(file)  # with this verdict, or with the one that the request got when it expired
        if verdict is not None and picture and isinstance(frame, Frame):
            self.archive.keep(verdict, frame, decision.anomaly_map)
        last_error = self.status.conditions.last_error if verdict is None else verdict.decision.error
        self.status.note(judging=False, engine_stuck=False, camera_stuck=False, last_error=last_error)
        return verdict

    def _warn(self, moved: str) -> None:
        """The parts lie elsewhere than the good ones did, or no longer."""
        if bool(moved) is not bool(self.status.conditions.moved):
            log.warning("%s", moved or "parts lie again where good ones did")
        if moved != self.status.conditions.moved:
            self.status.note(moved=moved)

    def _decide(self, frame: Frame) -> Decision:
        try:
            model = self.serving.model
            decision = model.judge(frame)
            if decision.place is not None:
                model.drift.add(decision.place)
                self.status.part_offset = model.drift.pixels
                self._warn(model.drift.warning)
            return decision
        except Exception as error:  # a bug, but a part is waiting for its answer: it gets ERROR, never silence
            text = f"{type(error).__name__}: {error}"
            level = logging.DEBUG if text == self._last_bug else logging.ERROR  # a bug that goes on is logged once
            log.log(level, "judging %s failed", frame.name or frame.sequence, exc_info=error)
            self._last_bug = text
            return Decision(Outcome.ERROR, ErrorCode.JUDGING_FAILED, detail=f"{text}; see the log")
