from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import THRESHOLD, picture, write_bundle

from edge_runtime.bundle import open_bundle
from edge_runtime.errors import EngineError, StorageError
from edge_runtime.inbox import Inbox, Order
from edge_runtime.inspector import Inspector
from edge_runtime.judge import Judge
from edge_runtime.messages import Command, Trigger
from edge_runtime.records import ErrorCode, Flag, Frame, Inspection, LostFrame, Outcome, Precision
from edge_runtime.spool import Spool
from edge_runtime.states import State
from edge_runtime.station import MqttSettings, SourceSettings, Station
from edge_runtime.tally import Tally
from edge_runtime.trigger_desk import TriggerDesk

TRIGGER = Trigger(7, 12, "PART-7")


class ScriptedEngine:
    """The tiny graph's arithmetic, unless told to fail."""

    name = "scripted"

    def __init__(self):
        self.failure: Exception | None = None
        self.takes_s = 0.0

    def infer(self, image):
        time.sleep(self.takes_s)
        if self.failure is not None:
            raise self.failure
        anomaly_map = image[0].astype(np.float32).mean(axis=2)
        return Inspection(float(anomaly_map.max()), anomaly_map)


class ScriptedSource:
    def __init__(self, *shots):
        self.shots = list(shots)

    def next_frame(self):
        return self.shots.pop(0) if self.shots else None


class RecordingPublisher:
    def __init__(self):
        self.verdicts, self.states, self.said = [], [], []

    def publish(self, verdict, taken_ns):
        self.verdicts.append(verdict)

    def show(self, report):
        self.states.append(report.state)

    def say(self, topic, payload):
        self.said.append(payload)


def frame(spot=False, name="a.png"):
    return Frame("test", 1, time.monotonic_ns(), picture(spot, 1), name)


class Stage:
    """An inspector with scripted surroundings and a real spool."""

    def __init__(self, folder, mode, *shots, deadline_ms=1000):
        self.bundle = open_bundle(write_bundle(folder / "bundle"))
        self.station = Station(
            line="l", cell="c", bundle=folder / "bundle", mode=mode, recipe=12, deadline_ms=deadline_ms,
            source=SourceSettings(uri="folder://x"), state_dir=folder / "state", mqtt=MqttSettings(host="h"),
        )  # fmt: skip
        self.engine, self.source = ScriptedEngine(), ScriptedSource(*shots)
        self.spool, self.publisher, self.inbox = Spool(folder / "state"), RecordingPublisher(), Inbox()
        self.desk, self.tally = TriggerDesk(12, 10, time.monotonic), Tally()
        judge = Judge(self.engine, self.bundle.threshold(Precision.FP32), 64, 64)
        self.inspector = Inspector(
            self.station, self.bundle, self.engine, judge, self.source, self.spool, self.publisher,
            self.desk, self.tally, self.inbox,
        )  # fmt: skip

    def trigger(self):
        assert self.desk.offer(TRIGGER).reply.value == "ACCEPTED"
        self.inbox.put(Order(TRIGGER, time.monotonic_ns()))

    def step(self, once=False):
        """One turn of serve's loop; the verdict, or None at the end."""
        order = self.inspector.next_order(once)
        if order is None:
            return None
        shot = self.inspector.capture(order)
        if shot.frame is None and order.trigger is None:
            return self.step(once)
        verdict = self.inspector.commit(order, shot, self.inspector.judge(shot))
        self.inspector.publish(verdict, shot)
        return verdict


@pytest.fixture
def stage(tmp_path):
    stages = []

    def make(mode="free-running", *shots, **settings):
        stages.append(Stage(tmp_path, mode, *shots, **settings))
        stages[-1].inspector.self_test()
        return stages[-1]

    yield make
    for made in stages:
        made.spool.__exit__(None, None, None)


def test_free_running_judges_every_frame_and_ends_with_the_source(stage):
    s = stage("free-running", frame(), frame(spot=True), frame())
    found = [s.step(once=True) for _ in range(4)]
    assert [v.decision.outcome for v in found[:3]] == [Outcome.OK, Outcome.NOK, Outcome.OK]
    assert found[3] is None
    assert [v.seq for v in s.publisher.verdicts] == [1, 2, 3]
    assert s.publisher.states == [State.READY, State.NOTREADY, State.NOTREADY]  # no more pictures; stopping


def test_a_verdict_says_what_it_was_judged_with(stage):
    verdict = stage("free-running", frame(spot=True, name="bad/1.png")).step()
    assert (verdict.bundle, verdict.bundle_version, verdict.source) == ("tiny", "1.0", "bad/1.png")
    assert (verdict.recipe, verdict.trigger_id, verdict.part_id, verdict.boot_id) == (12, 0, "", 1)
    assert verdict.decision.raw_threshold == THRESHOLD
    assert verdict.decision.timings.commit_us > 0
    assert len(verdict.decision.regions) == 1


def test_a_lost_frame_is_an_error_verdict_and_the_station_is_degraded_until_the_next(stage):
    lost = LostFrame("a.png", time.monotonic_ns(), ErrorCode.FRAME_UNREADABLE, "no picture")
    s = stage("free-running", lost, frame())
    assert s.step().decision.error is ErrorCode.FRAME_UNREADABLE
    assert s.inspector.conditions.last_error is ErrorCode.FRAME_UNREADABLE
    s.step()
    assert s.publisher.states == [State.READY, State.DEGRADED, State.READY]


def test_a_failing_engine_and_a_bug_are_error_verdicts(stage, caplog):
    s = stage("free-running", frame(), frame(), frame())
    s.engine.failure = EngineError("the GPU fell off")
    decision = s.step().decision
    assert (decision.outcome, decision.error) == (Outcome.ERROR, ErrorCode.ENGINE_FAILED)
    assert decision.detail == "the GPU fell off"
    s.engine.failure = ZeroDivisionError("oops")
    decision = s.step().decision
    assert (decision.outcome, decision.error) == (Outcome.ERROR, ErrorCode.JUDGING_FAILED)
    assert decision.detail == "ZeroDivisionError: oops; see the log"
    assert "judging a.png failed" in caplog.text
    s.engine.failure = None
    assert s.step().decision.outcome is Outcome.OK


def test_a_trigger_gets_one_frame_and_one_verdict_with_its_names(stage):
    s = stage("triggered", frame(), frame())
    s.trigger()
    verdict = s.step()
    assert (verdict.trigger_id, verdict.part_id, verdict.recipe) == (7, "PART-7", 12)
    assert s.desk.offer(TRIGGER).verdict.seq == verdict.seq
    assert len(s.source.shots) == 1
    assert s.publisher.states == [State.READY, State.BUSY, State.READY]


def test_a_trigger_without_a_frame_left_gets_an_error_verdict(stage):
    s = stage("triggered")
    s.trigger()
    decision = s.step().decision
    assert (decision.outcome, decision.error) == (Outcome.ERROR, ErrorCode.FRAME_MISSING)
    assert s.publisher.states[-1] is State.NOTREADY
    assert s.desk.offer(Trigger(8, 12, "")).reply.value == "NOTREADY"


def test_a_late_answer_to_a_trigger_is_error_and_never_ok(stage):
    s = stage("triggered", frame(), deadline_ms=1)
    s.engine.takes_s = 0.005
    s.trigger()
    verdict = s.step()
    assert (verdict.decision.outcome, verdict.decision.error) == (Outcome.ERROR, ErrorCode.DEADLINE_MISSED)
    assert verdict.flags == Flag.LATE
    assert verdict.decision.detail.startswith("OK came after ")
    assert s.tally.sample(0).late == 1


def test_a_late_free_running_verdict_is_flagged(stage):
    s = stage("free-running", frame(), deadline_ms=1)
    s.engine.takes_s = 0.005
    verdict = s.step()
    assert (verdict.decision.outcome, verdict.flags) == (Outcome.OK, Flag.LATE)


def test_pause_stops_free_running_and_resume_goes_on(stage):
    s = stage("free-running", frame())
    for command in (Command.PAUSE, Command.RESUME):
        s.inbox.put(command)
    assert s.step() is not None
    assert s.publisher.states == [State.READY, State.NOTREADY, State.READY]
    assert s.publisher.said == [b"PAUSE;DONE", b"RESUME;DONE"]


def test_a_self_test_on_command_takes_the_station_out_of_service_when_it_fails(stage):
    s = stage("triggered", frame())
    s.inspector.obey(Command.SELFTEST)
    assert s.publisher.said == [b"SELFTEST;DONE;largest deviation 0.000 of the tolerance"]
    s.engine.failure = EngineError("nan everywhere")
    s.inspector.obey(Command.SELFTEST)
    assert s.publisher.said[-1] == b"SELFTEST;FAILED;the self-test failed, see the log"
    assert s.publisher.states[-1] is State.NOTREADY
    assert s.desk.offer(TRIGGER).reply.value == "NOTREADY"
    s.engine.failure = None
    s.inspector.obey(Command.SELFTEST)
    assert s.publisher.states[-1] is State.READY


def test_reload_is_refused_with_what_to_do_instead(stage):
    s = stage("triggered")
    s.inspector.obey(Command.RELOAD)
    assert s.publisher.said == [b"RELOAD;REFUSED;restart the daemon to load another bundle"]


def test_a_trigger_accepted_before_the_stop_still_gets_its_verdict(stage):
    s = stage("triggered", frame())
    s.trigger()
    s.inbox.stop()
    assert s.step().trigger_id == 7
    assert s.step() is None
    assert s.desk.offer(Trigger(8, 12, "")).reply.value == "NOTREADY"


def test_a_stop_ends_free_running_before_the_next_frame(stage):
    s = stage("free-running", frame(), frame())
    s.step()
    s.inbox.stop()
    assert s.step() is None
    assert len(s.source.shots) == 1


def test_a_disk_that_cannot_be_written_gives_no_verdict_and_a_fault(stage):
    s = stage("free-running", frame())
    s.spool._db.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageError, match="no verdict can be numbered"):
        s.step()
    s.spool._db.execute("PRAGMA query_only = 0")
    assert s.publisher.verdicts == []
    assert s.publisher.states[-1] is State.FAULT
    assert s.tally.sample(0).triggers == 0


def test_what_ended_another_thread_is_raised_here(stage):
    s = stage("triggered")
    s.inbox.put(StorageError("gone"))
    with pytest.raises(StorageError, match="gone"):
        s.step()


def test_a_bundle_whose_golden_pictures_are_not_reproduced_is_not_served(tmp_path):
    write_bundle(tmp_path / "other", golden_score=10.0)
    s = Stage(tmp_path, "triggered")
    s.inspector.bundle = open_bundle(tmp_path / "other")
    with pytest.raises(EngineError, match=r"self-test failed: scripted gives .* where the bundle tiny-1\.0 says 10"):
        s.inspector.self_test()
    assert s.publisher.states == [State.NOTREADY]
    s.spool.__exit__(None, None, None)


def test_a_tiny_bundle_serves_in_onnxruntime_as_in_the_scripted_engine(tmp_path: Path):
    from edge_runtime.onnxruntime_engine import OnnxruntimeEngine

    bundle = open_bundle(write_bundle(tmp_path / "bundle"))
    with OnnxruntimeEngine(bundle.graph(Precision.FP32), threads=1) as engine:
        real, scripted = (e.infer(picture(True, 3)[None]) for e in (engine, ScriptedEngine()))
    assert real.score == pytest.approx(scripted.score, rel=1e-6)  # the mean of three in another order
