from __future__ import annotations

import pytest
from tests.support.station_stage import ScriptedSource, Stage, frame

from edge_runtime.daemon.requests import InspectionRequest
from edge_runtime.daemon.trigger_modes import FreeRunningMode, HardwareTriggerMode, IntervalMode
from edge_runtime.monitoring.counters import Counters
from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame, Outcome
from edge_runtime.wire.commands import Trigger

MS = 1_000_000


class Clock:
    def __init__(self):
        self.now_ns = 1_000 * MS

    def __call__(self):
        return self.now_ns


def capture(sequence):
    return Frame("camera", sequence, sequence * MS, None)


def lost(sequence):
    return FailedFrame("", sequence * MS, ErrorCode.FRAME_SHORT, "half", sequence)


@pytest.fixture
def clock():
    return Clock()


def test_a_tick_comes_every_interval_and_those_that_pass_meanwhile_are_missed(clock):
    counters = Counters()
    trigger_mode = IntervalMode(100, 50, counters, clock)
    first = trigger_mode.next_request()
    assert (first.arrived_ns, first.deadline_ns - first.arrived_ns) == (clock.now_ns, 50 * MS)
    assert isinstance(trigger_mode.next_request(), NoFrame)
    assert trigger_mode.wait_s() == pytest.approx(0.1)
    clock.now_ns += 350 * MS  # judging took that long: two ticks and a half are past
    assert isinstance(trigger_mode.next_request(), InspectionRequest)
    assert counters.sample(0).missed == 2
    assert trigger_mode.wait_s() == pytest.approx(0.05)  # the beat goes on where it was


def test_free_running_takes_what_the_source_has_at_its_pace_and_does_not_catch_up(clock):
    trigger_mode = FreeRunningMode(ScriptedSource(*map(capture, range(1, 6))), 1000, fps=10, clock_ns=clock)
    assert trigger_mode.next_request().capture.frame.sequence == 1
    assert isinstance(trigger_mode.next_request(), NoFrame)
    assert trigger_mode.wait_s() == pytest.approx(0.1)
    clock.now_ns += 5_000 * MS
    assert trigger_mode.next_request().capture.frame.sequence == 2
    assert isinstance(trigger_mode.next_request(), NoFrame)
    clock.now_ns += 100 * MS
    assert trigger_mode.next_request().capture.frame.sequence == 3


def test_a_free_running_source_that_falls_silent_gives_one_lost_frame(clock):
    trigger_mode = FreeRunningMode(ScriptedSource(capture(1), *[NoFrame()] * 4, capture(2), None), 1000, clock_ns=clock)
    trigger_mode.next_request()
    found = []
    for _ in range(4):
        clock.now_ns += 600 * MS
        found.append(trigger_mode.next_request())
    assert [type(request) for request in found] == [NoFrame, InspectionRequest, NoFrame, NoFrame]
    assert found[1].capture.frame.error is ErrorCode.FRAME_MISSING
    assert "no frame within 1000 ms (deadline_ms): check camera" in found[1].capture.frame.detail
    assert trigger_mode.next_request().capture.frame.sequence == 2
    assert trigger_mode.next_request() is None


def test_the_camera_decides_and_its_frames_numbers_are_the_triggers(clock):
    trigger_mode = HardwareTriggerMode(ScriptedSource(capture(100), NoFrame(), lost(101), capture(102)), 50, 12, clock)
    first, quiet, second, third = (trigger_mode.next_request() for _ in range(4))
    assert (first.trigger.trigger_id, first.trigger.recipe, first.arrived_ns) == (100, 12, 100 * MS)
    assert first.deadline_ns == 150 * MS  # counted from the exposure
    assert isinstance(quiet, NoFrame)
    assert (second.trigger.trigger_id, second.capture.frame.error) == (101, ErrorCode.FRAME_SHORT)
    assert third.trigger.trigger_id == 102


def test_a_number_that_is_left_out_is_a_part_that_gets_its_error(clock, caplog):
    trigger_mode = HardwareTriggerMode(ScriptedSource(capture(5), capture(8)), 50, 12, clock)
    found = [trigger_mode.next_request() for _ in range(4)]
    assert [request.trigger.trigger_id for request in found] == [5, 6, 7, 8]
    assert [getattr(request.capture.frame, "error", None) for request in found] == [None, 101, 101, None]
    assert "the camera's frames 6 to 7 are lost" in caplog.text


def test_a_camera_that_counts_from_one_again_is_no_gap(clock, caplog):
    trigger_mode = HardwareTriggerMode(ScriptedSource(capture(5000), capture(1), capture(900)), 50, 12, clock)
    assert [trigger_mode.next_request().trigger.trigger_id for _ in range(3)] == [5000, 1, 900]
    assert "jump from 5000 to 1: it counts from there" in caplog.text


def test_a_station_triggered_by_hardware_answers_each_frame_and_takes_no_plc_triggers(tmp_path):
    s = Stage(tmp_path, "hardware", frame(sequence=41), NoFrame(), frame(spot=True, sequence=43, seed=2))
    s.self_test.conclude_first(once=False)
    found = [s.step() for _ in range(3)]
    assert [(v.trigger_id, v.decision.outcome) for v in found] == [
        (41, Outcome.OK),
        (42, Outcome.ERROR),
        (43, Outcome.NOK),
    ]
    assert s.spool.accepted() == []
    assert s.trigger_gate.offer(Trigger(1, 12, "")).reply.value == "NOTREADY"
    s.spool.__exit__(None, None, None)


def test_a_station_at_intervals_judges_one_frame_a_tick(tmp_path):
    s = Stage(tmp_path, "interval", frame(), frame(seed=2), NoFrame(), interval_ms=10, deadline_ms=5000)
    s.self_test.conclude_first(once=False)
    found = [s.step(once=True) for _ in range(4)]
    assert [v and (v.trigger_id, v.decision.outcome, v.decision.error) for v in found] == [
        (0, Outcome.OK, 0),
        (0, Outcome.OK, 0),
        (0, Outcome.ERROR, ErrorCode.FRAME_MISSING),
        None,
    ]
    assert all(3 < wait_s < 5 for wait_s in s.source.waits)
    s.spool.__exit__(None, None, None)
