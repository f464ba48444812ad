from __future__ import annotations

import pytest
from tests.support.station_stage import ScriptedSource, Stage, frame

from edge_runtime.daemon.requests import InspectionRequest
from edge_runtime.daemon.trigger_modes import FreeRunningMode, HardwarePace, IntervalPace
from edge_runtime.monitoring.counters import Counters
from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame, Outcome
from edge_runtime.wire.commands import Trigger

MS = 1_000_000


class Clock:
    def __init__(self):
        self.now_ns = 1_000 * MS

    def __call__(self):
        return self.now_ns


def shot(sequence):
    return Frame("camera", sequence, sequence * MS, None)


def lost(sequence):
    return FailedFrame("", sequence * MS, ErrorCode.FRAME_SHORT, "half", sequence)


@pytest.fixture
def clock():
    return Clock()


def test_a_tick_comes_every_interval_and_those_that_pass_meanwhile_are_missed(clock):
    tally = Counters()
    pace = IntervalPace(100, 50, tally, clock)
    first = pace.next_order()
    assert (first.arrived_ns, first.deadline_ns - first.arrived_ns) == (clock.now_ns, 50 * MS)
    assert isinstance(pace.next_order(), NoFrame)
    assert pace.wait_s() == pytest.approx(0.1)
    clock.now_ns += 350 * MS  # judging took that long: two ticks and a half are past
    assert isinstance(pace.next_order(), InspectionRequest)
    assert tally.sample(0).missed == 2
    assert pace.wait_s() == pytest.approx(0.05)  # the beat goes on where it was


def test_free_running_takes_what_the_source_has_at_its_pace_and_does_not_catch_up(clock):
    pace = FreeRunningMode(ScriptedSource(*map(shot, range(1, 6))), 1000, fps=10, clock_ns=clock)
    assert pace.next_order().shot.frame.sequence == 1
    assert isinstance(pace.next_order(), NoFrame)
    assert pace.wait_s() == pytest.approx(0.1)
    clock.now_ns += 5_000 * MS
    assert pace.next_order().shot.frame.sequence == 2
    assert isinstance(pace.next_order(), NoFrame)
    clock.now_ns += 100 * MS
    assert pace.next_order().shot.frame.sequence == 3


def test_a_free_running_source_that_falls_silent_gives_one_lost_frame(clock):
    pace = FreeRunningMode(ScriptedSource(shot(1), *[NoFrame()] * 4, shot(2), None), 1000, clock_ns=clock)
    pace.next_order()
    found = []
    for _ in range(4):
        clock.now_ns += 600 * MS
        found.append(pace.next_order())
    assert [type(order) for order in found] == [NoFrame, InspectionRequest, NoFrame, NoFrame]
    assert found[1].shot.frame.error is ErrorCode.FRAME_MISSING
    assert "no frame within 1000 ms (deadline_ms): check camera" in found[1].shot.frame.detail
    assert pace.next_order().shot.frame.sequence == 2
    assert pace.next_order() is None


def test_the_camera_decides_and_its_frames_numbers_are_the_triggers(clock):
    pace = HardwarePace(ScriptedSource(shot(100), NoFrame(), lost(101), shot(102)), 50, 12, clock)
    first, quiet, second, third = (pace.next_order() for _ in range(4))
    assert (first.trigger.trigger_id, first.trigger.recipe, first.arrived_ns) == (100, 12, 100 * MS)
    assert first.deadline_ns == 150 * MS  # counted from the exposure
    assert isinstance(quiet, NoFrame)
    assert (second.trigger.trigger_id, second.shot.frame.error) == (101, ErrorCode.FRAME_SHORT)
    assert third.trigger.trigger_id == 102


def test_a_number_that_is_left_out_is_a_part_that_gets_its_error(clock, caplog):
    pace = HardwarePace(ScriptedSource(shot(5), shot(8)), 50, 12, clock)
    found = [pace.next_order() for _ in range(4)]
    assert [order.trigger.trigger_id for order in found] == [5, 6, 7, 8]
    assert [getattr(order.shot.frame, "error", None) for order in found] == [None, 101, 101, None]
    assert "the camera's frames 6 to 7 are lost" in caplog.text


def test_a_camera_that_counts_anew_is_no_gap(clock, caplog):
    pace = HardwarePace(ScriptedSource(shot(5000), shot(1), shot(900)), 50, 12, clock)
    assert [pace.next_order().trigger.trigger_id for _ in range(3)] == [5000, 1, 900]
    assert "jump from 5000 to 1: it counts anew" in caplog.text


def test_a_station_triggered_by_hardware_answers_each_frame_and_takes_no_plc_triggers(tmp_path):
    s = Stage(tmp_path, "hardware", frame(sequence=41), NoFrame(), frame(spot=True, sequence=43, seed=2))
    s.inspector.start()
    found = [s.step() for _ in range(3)]
    assert [(v.trigger_id, v.decision.outcome) for v in found] == [
        (41, Outcome.OK),
        (42, Outcome.ERROR),
        (43, Outcome.NOK),
    ]
    assert s.spool.accepted() == []
    assert s.desk.offer(Trigger(1, 12, "")).reply.value == "NOTREADY"
    s.spool.__exit__(None, None, None)


def test_a_station_at_intervals_judges_one_frame_a_tick(tmp_path):
    s = Stage(tmp_path, "interval", frame(), frame(seed=2), NoFrame(), interval_ms=10, deadline_ms=5000)
    s.inspector.start()
    found = [s.step(once=True) for _ in range(4)]
    assert [v and (v.trigger_id, v.decision.outcome, v.decision.error) for v in found] == [
        (0, Outcome.OK, 0),
        (0, Outcome.OK, 0),
        (0, Outcome.ERROR, ErrorCode.FRAME_MISSING),
        None,
    ]
    assert all(3 < wait_s < 5 for wait_s in s.source.waits)
    s.spool.__exit__(None, None, None)
