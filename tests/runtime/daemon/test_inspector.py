from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from tests.support.station_stage import frame
from tests.support.tiny_bundle import THRESHOLD

from edge_runtime.errors import EngineError, StorageError
from edge_runtime.records import ErrorCode, FailedFrame, Flag, NoFrame, Outcome, PictureFile
from edge_runtime.wire.commands import Command, Trigger
from edge_runtime.wire.states import State

TRIGGER = Trigger(7, 12, "PART-7")


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
    lost = FailedFrame("a.png", time.monotonic_ns(), ErrorCode.FRAME_UNREADABLE, "no picture")
    s = stage("free-running", lost, frame())
    assert s.step().decision.error is ErrorCode.FRAME_UNREADABLE
    assert s.status.conditions.last_error is ErrorCode.FRAME_UNREADABLE
    s.step()
    assert s.publisher.states == [State.READY, State.DEGRADED, State.READY]


def test_a_failing_engine_and_a_bug_are_error_verdicts(stage, caplog):
    s = stage("free-running", frame(), frame(seed=2), frame(seed=3))
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


def test_a_bug_that_goes_on_is_logged_once_with_its_traceback(stage, caplog):
    s = stage("free-running", *[frame(seed=n) for n in range(3)])
    s.engine.failure = ZeroDivisionError("oops")
    for _ in range(3):
        assert s.step().decision.error is ErrorCode.JUDGING_FAILED
    logged = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(logged) == 1
    assert logged[0].exc_info[1] is s.engine.failure


def test_a_state_that_calls_for_somebody_is_logged_and_the_everyday_ones_are_not(stage, caplog):
    caplog.set_level("INFO")
    s = stage("triggered", frame())
    s.trigger()
    s.step()
    for command in (Command.PAUSE, Command.RESUME):
        s.commands.execute(command)
    logged = [record.getMessage() for record in caplog.records if record.getMessage().startswith("state ")]
    assert logged == ["state READY;000;tiny-1.0", "state NOTREADY;000;paused", "state READY;000;tiny-1.0"]


def test_a_trigger_gets_one_frame_and_one_verdict_with_its_names(stage):
    s = stage("triggered", frame(), frame())
    s.trigger()
    verdict = s.step()
    assert (verdict.trigger_id, verdict.part_id, verdict.recipe) == (7, "PART-7", 12)
    assert s.trigger_gate.offer(TRIGGER).verdict.seq == verdict.seq
    assert len(s.source.frames) == 1
    assert s.publisher.states == [State.READY, State.BUSY, State.READY]


def test_a_trigger_without_a_frame_left_gets_an_error_verdict(stage):
    s = stage("triggered")
    s.trigger()
    decision = s.step().decision
    assert (decision.outcome, decision.error) == (Outcome.ERROR, ErrorCode.FRAME_MISSING)
    assert s.publisher.states[-1] is State.NOTREADY
    assert s.trigger_gate.offer(Trigger(8, 12, "")).reply.value == "NOTREADY"


def test_a_late_answer_to_a_trigger_is_error_and_never_ok(stage):
    s = stage("triggered", frame(), deadline_ms=1)
    s.engine.takes_s = 0.005
    s.trigger()
    verdict = s.step()
    assert (verdict.decision.outcome, verdict.decision.error) == (Outcome.ERROR, ErrorCode.DEADLINE_MISSED)
    assert verdict.flags == Flag.LATE
    assert verdict.decision.detail.startswith("OK came after ")
    assert s.counters.sample(0).late == 1


def test_a_late_free_running_verdict_is_flagged(stage):
    s = stage("free-running", frame(), deadline_ms=1)
    s.engine.takes_s = 0.005
    verdict = s.step()
    assert (verdict.decision.outcome, verdict.flags) == (Outcome.OK, Flag.LATE)


def test_what_was_accepted_before_the_self_test_failed_is_error_and_not_judged(stage):
    s = stage("triggered", frame())
    s.trigger()
    s.status.note(self_test_passed=False)
    assert s.step().decision.error is ErrorCode.SELF_TEST_FAILED


def test_a_frame_that_came_before_and_one_of_before_the_trigger_are_errors(stage):
    early = replace(frame(seed=3)(), captured_ns=time.monotonic_ns() - 10_000_000)
    s = stage("triggered", frame(), frame(), early)
    found = []
    for trigger_id in (7, 8, 9):
        s.trigger(trigger_id)
        found.append(s.step().decision.error)
    assert found == [ErrorCode.NONE, ErrorCode.FRAME_FROZEN, ErrorCode.FRAME_STALE]


def test_a_quiet_camera_is_error_to_a_trigger_and_says_for_how_long(stage):
    s = stage("triggered", NoFrame(), deadline_ms=5000)
    s.trigger()
    decision = s.step().decision
    assert (decision.error, decision.detail) == (
        ErrorCode.FRAME_MISSING,
        "no frame within 5000 ms (deadline_ms): check camera, cable and trigger, or raise deadline_ms if taking a "
        "picture needs longer",
    )
    assert 4 < s.source.waits[0] < 5


def test_a_disk_that_cannot_be_written_gives_no_verdict_and_a_fault(stage):
    s = stage("free-running", frame())
    s.spool._db.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageError, match="no verdict can be numbered"):
        s.step()
    s.spool._db.execute("PRAGMA query_only = 0")
    assert s.publisher.verdicts == []
    assert s.publisher.states[-1] is State.FAULT
    assert s.counters.sample(0).triggers == 0


def test_a_file_is_remembered_with_its_verdict_and_then_the_source_may_put_it_away(stage):
    file, unreadable = PictureFile(b"a.png", "1-2-3"), PictureFile(b"b.png", "4-5-6")
    lost = FailedFrame("b.png", time.monotonic_ns(), ErrorCode.FRAME_UNREADABLE, "no picture", file=unreadable)
    s = stage("free-running", replace(frame()(), file=file), lost)
    s.step()
    assert (s.spool.judged(), s.source.done) == ({b"a.png": "1-2-3"}, [file])
    s.step()
    assert (s.spool.judged()[b"b.png"], s.source.done) == ("4-5-6", [file, unreadable])


def test_only_the_serving_thread_inspects(stage):
    s = stage("free-running", frame(), frame(seed=2))
    s.step()
    caught = []

    def step():
        try:
            s.step()
        except RuntimeError as error:
            caught.append(str(error))

    thread = threading.Thread(target=step, name="another")
    thread.start()
    thread.join()
    assert caught == ["the dispatcher belongs to the thread 'MainThread', and 'another' called: this is a bug"]
