"""Deadlines: every order ends in exactly one verdict, whatever hangs."""

from __future__ import annotations

import re
import threading
import time

import pytest
from tests.support.station_stage import WAIT_S, frame

from edge_runtime.daemon.events import Stop
from edge_runtime.daemon.requests import Capture, InspectionRequest, binding_request, free_running_request
from edge_runtime.errors import StorageError
from edge_runtime.records import Decision, ErrorCode, Flag, Outcome
from edge_runtime.wire.commands import Trigger
from edge_runtime.wire.states import State

DEADLINE_MS = 100  # short, for these tests let it pass; nothing here fails when the machine is slower


def outcomes(s):
    return [(v.trigger_id, v.decision.outcome, v.decision.error) for v in s.publisher.verdicts]


def test_a_hung_engine_is_error_by_the_deadline_and_its_late_result_is_discarded_and_counted(stage):
    s = stage("triggered", frame(), frame(seed=2), deadline_ms=DEADLINE_MS)
    s.engine.hangs = threading.Event()
    with s.issuer:
        s.trigger()
        thread = s.run()
        # given no result, then there is an ERROR, and the state says why
        s.publisher.wait_for(lambda: State.FAULT in s.publisher.states)
        assert outcomes(s) == [(7, Outcome.ERROR, ErrorCode.DEADLINE_MISSED)]
        assert s.publisher.verdicts[0].flags == Flag.LATE
        assert re.fullmatch(
            r"the engine has not answered within \d+ ms \(deadline_ms 100\): raise deadline_ms, or take a faster "
            r"engine, precision or detector",
            s.publisher.verdicts[0].decision.detail,
        )
        assert s.status.report.payload() == b"FAULT;205;the engine does not answer"
        assert s.trigger_gate.offer(Trigger(8, 12, "")).reply.value == "NOTREADY"
        # when the engine comes back, its result is discarded, and the station goes on
        s.engine.hangs.set()
        s.publisher.wait_for(lambda: s.publisher.states[-1] is State.DEGRADED)
        counters = s.counters.sample(0)
        assert (counters.triggers, counters.error, counters.late, counters.discarded) == (1, 1, 1, 1)
        assert s.spool.accepted() == []
        s.events.stop()
        thread.join(WAIT_S)
    assert len(s.publisher.verdicts) == 1


def test_a_cameras_driver_that_hangs_is_error_by_the_deadline(stage):
    back = threading.Event()

    def hangs():
        assert back.wait(WAIT_S)
        return frame()()

    s = stage("triggered", hangs, deadline_ms=DEADLINE_MS)
    with s.issuer:
        s.trigger()
        thread = s.run()
        s.publisher.wait_for(lambda: State.FAULT in s.publisher.states)
        assert outcomes(s) == [(7, Outcome.ERROR, ErrorCode.FRAME_MISSING)]
        assert s.status.report.payload() == b"FAULT;101;the camera's driver does not answer"
        assert s.publisher.verdicts[0].decision.detail.endswith(
            " ms (deadline_ms 100): check camera, cable and trigger, or raise deadline_ms if taking a picture needs "
            "longer"
        )
        back.set()
        s.publisher.wait_for(lambda: s.publisher.states[-1] is State.DEGRADED)
        s.events.stop()
        thread.join(WAIT_S)


def test_triggers_that_wait_behind_a_hung_one_are_answered_by_their_own_deadlines_and_not_judged_later(stage):
    s = stage("triggered", frame(), frame(seed=2), deadline_ms=DEADLINE_MS, queue_depth=3)
    s.engine.hangs = threading.Event()
    with s.issuer:
        for trigger_id in (7, 8, 9):
            s.trigger(trigger_id)
        thread = s.run()
        s.publisher.wait_for(lambda: len(s.publisher.verdicts) == 3)
        assert outcomes(s) == [(t, Outcome.ERROR, ErrorCode.DEADLINE_MISSED) for t in (7, 8, 9)]
        detail = s.publisher.verdicts[1].decision.detail
        assert detail.startswith("an earlier part was still in hand, so this one was not begun within ")
        assert " ms (deadline_ms 100): trigger less often, or raise deadline_ms, or take a faster engine" in detail
        s.engine.hangs.set()
        s.events.stop()
        thread.join(WAIT_S)
    assert len(s.source.frames) == 1  # no picture was taken for parts that were gone
    assert len(s.publisher.verdicts) == 3


def logged(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_free_running_frame_on_which_the_engine_hangs_is_error_too(stage, caplog):
    s = stage("free-running")
    s.engine.hangs = threading.Event()
    now_ns, capture = time.monotonic_ns(), frame()()
    request = InspectionRequest(
        None, now_ns, now_ns + 20_000_000, now_ns + 100_000_000, Capture(capture, now_ns)
    )  # sooner than in earnest
    with s.issuer:
        s.issuer.track(request)
        s.events.put(request)
        thread = s.run()
        s.publisher.wait_for(lambda: State.FAULT in s.publisher.states)
        assert outcomes(s) == [(0, Outcome.ERROR, ErrorCode.ENGINE_HUNG)]
        assert re.fullmatch(
            r"verdict 1 ERROR 205 \(a.png\): the engine has not answered within \d+ ms \(deadline_ms 20\), it hangs: "
            r"check the GPU and its driver",
            logged(caplog)[0],
        )
        s.engine.hangs.set()
        s.events.stop()
        thread.join(WAIT_S)


def test_a_free_running_engine_that_is_slower_than_the_deadline_hangs_only_after_ten_seconds(stage):
    request = free_running_request(arrived_ns=5, deadline_ms=6, capture=Capture(None, 5))
    assert (request.deadline_ms, request.is_binding) == (6, False)
    assert request.expires_ns - request.deadline_ns == 10_000_000_000


def test_a_free_running_station_that_is_always_late_keeps_its_outcomes_and_its_state_and_logs_it_once(stage, caplog):
    s = stage("free-running", *[frame(seed=n, name=f"{n}.png") for n in range(10)], deadline_ms=1)
    s.engine.takes_s = 0.01
    with s.issuer:
        verdicts = [s.step() for _ in range(10)]
    assert {(v.decision.outcome, v.flags) for v in verdicts} == {(Outcome.OK, Flag.LATE)}
    assert s.publisher.states == [State.READY]
    (line,) = logged(caplog)
    assert re.fullmatch(
        r"verdict 1 OK \(0.png\) is late: decided after \d+ ms, on the disk after \d+ ms \(deadline_ms 1\): raise "
        r"deadline_ms, or take a faster engine, precision or detector",
        line,
    )


def test_an_order_is_answered_once_by_whoever_comes_first(stage):
    s = stage("triggered", deadline_ms=60_000)
    request = s.trigger()
    given = [s.issuer.issue(request, Decision(outcome, error)) for outcome, error in (
        (Outcome.ERROR, ErrorCode.DEADLINE_MISSED), (Outcome.OK, ErrorCode.NONE)
    )]  # fmt: skip
    assert [v and v.seq for v in given] == [1, None]
    assert s.counters.sample(0).discarded == 1


def test_an_order_that_expires_before_the_one_that_is_slept_for_is_answered_in_time(stage):
    s = stage("triggered")
    with s.issuer:
        now_ns = time.monotonic_ns()
        s.issuer.track(binding_request(None, now_ns, 60_000))
        time.sleep(0.2)  # now it is slept for
        s.issuer.track(binding_request(None, now_ns, 250))
        s.publisher.wait_for(lambda: len(s.publisher.verdicts) == 1)


def test_why_parts_are_not_judged_is_logged_when_it_begins_and_not_for_every_part(stage, caplog):
    s = stage("triggered")

    def refuse(trigger_id, code):
        s.issuer.issue(s.trigger(trigger_id), Decision(Outcome.ERROR, code, detail="too dark"), "7.png")

    black, small = ErrorCode.FRAME_BLACK, ErrorCode.FRAME_WRONG_SIZE
    for trigger_id, code in enumerate((black, black, small, black), 1):
        refuse(trigger_id, code)
    assert logged(caplog) == ["verdict 1 ERROR 104 (7.png): too dark", "verdict 3 ERROR 110 (7.png): too dark"]


def test_what_expires_is_logged_in_the_same_way(stage, caplog):
    s = stage("triggered", deadline_ms=1, queue_depth=3)
    with s.issuer:
        for trigger_id in (7, 8, 9):
            s.trigger(trigger_id)
        s.publisher.wait_for(lambda: len(s.publisher.verdicts) == 3)
    (line,) = logged(caplog)
    assert line.startswith(
        "verdict 1 ERROR 301 (trigger 7): an earlier part was still in hand, so this one was not beg"
    )


def test_an_answer_that_is_late_on_the_disk_is_flagged_when_it_goes_out(stage, caplog):
    s = stage("triggered", deadline_ms=DEADLINE_MS)
    request = s.trigger()
    commit = s.spool.commit

    def slow_commit(verdict, file):
        time.sleep(max(0, request.deadline_ns - time.monotonic_ns()) / 1e9)
        commit(verdict, file)

    s.spool.commit = slow_commit
    found = s.issuer.issue(request, Decision(Outcome.OK))
    assert s.counters.sample(0).late == 1
    if found.decision.error is ErrorCode.NONE:  # otherwise this machine was too slow to decide in time
        assert found.flags == Flag.LATE
        assert logged(caplog)[0].endswith(" ms (deadline_ms 100): check the disk")
    else:
        assert found.decision.error is ErrorCode.DEADLINE_MISSED


def test_a_disk_that_fails_while_an_order_expires_ends_the_serving_thread(stage):
    s = stage("triggered", deadline_ms=DEADLINE_MS)
    s.spool._db.execute("PRAGMA query_only = 1")
    with s.issuer:
        s.issuer.track(binding_request(Trigger(7, 12, ""), time.monotonic_ns(), DEADLINE_MS))
        with pytest.raises(StorageError, match="no verdict can be numbered"):
            s.events.take(WAIT_S)
    s.spool._db.execute("PRAGMA query_only = 0")
    assert s.publisher.states[-1] is State.FAULT


def test_counters_add_up_in_every_sample_while_answers_race_with_deadlines(stage):
    s = stage("triggered", *[frame(seed=n) for n in range(200)], deadline_ms=3, queue_depth=5)
    s.engine.takes_s = 0.001
    answered = []
    with s.issuer:
        thread = s.run()
        for trigger_id in range(1, 201):
            while s.trigger_gate.offer(Trigger(trigger_id, 12, "")).reply.value != "ACCEPTED":
                time.sleep(0.0005)
            request = binding_request(Trigger(trigger_id, 12, ""), time.monotonic_ns(), 3)
            s.issuer.track(request)
            s.events.put(request)
            counters = s.counters.sample(0)
            assert counters.triggers == counters.ok + counters.nok + counters.error
        s.publisher.wait_for(lambda: len(s.publisher.verdicts) >= 200)
        s.events.put(Stop())
        s.events.stop()
        thread.join(WAIT_S)
    answered = [v.trigger_id for v in s.publisher.verdicts]
    assert sorted(answered) == list(range(1, 201))  # each once
    assert [v.seq for v in s.publisher.verdicts] == list(range(1, 201))  # published in the order of their numbers
    assert s.counters.sample(0).triggers == 200


def issued(s, **decision):
    request = binding_request(Trigger(7, 12, ""), time.monotonic_ns(), 5_000)
    s.issuer.accept(request.trigger)
    s.trigger_gate.offer(request.trigger)
    s.issuer.track(request)
    source = decision.pop("source", "")
    return s.issuer.issue(request, Decision(**decision), source)


def test_a_name_that_is_no_utf_8_is_committed_in_a_form_that_can_be_read_again(stage):
    s = stage("triggered")
    verdict = issued(s, outcome=Outcome.NOK, source="b\udcff\n.png", detail="/in/b\udcff.png is cut off")
    assert (verdict.source, verdict.decision.detail) == ("b\\udcff\\n.png", "/in/b\\udcff.png is cut off")
    assert s.spool.between(1, 1, 1)[0].source == verdict.source


def test_a_verdict_that_would_not_come_back_as_it_is_becomes_an_error_and_is_not_lost(stage, caplog):
    s = stage("triggered")
    verdict = issued(s, outcome=Outcome.OK, raw_score=float("nan"))
    assert verdict.decision.outcome is Outcome.ERROR
    assert verdict.decision.error is ErrorCode.JUDGING_FAILED
    assert verdict.decision.detail.startswith("verdict 1 cannot be written as a record: Out of range float values")
    assert s.spool.between(1, 1, 1)[0].decision.outcome is Outcome.ERROR
    assert "verdict 1 cannot be written as a record" in caplog.text
    assert s.spool.accepted() == []
