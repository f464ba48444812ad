"""Which states are logged; which state holds is in test_states.py."""

from __future__ import annotations

import pytest

from edge_runtime.daemon.status import Status
from edge_runtime.daemon.trigger_gate import TriggerGate
from edge_runtime.records import ErrorCode

READY, DEGRADED = "state READY;000;", "state DEGRADED;104;the last verdict was ERROR"


class Line:
    """A station that is ready, on a scripted clock."""

    def __init__(self):
        self.now_s, self.shown = 0.0, []
        trigger_gate = TriggerGate(12, 10, lambda: self.now_s)
        self.status = Status(self.shown.append, trigger_gate, True, lambda: self.now_s)
        self.status.note(started=True, self_test_passed=True)

    def parts(self, outcomes, every_s=1.0):
        """`o` is judged, `e` is ERROR."""
        for outcome in outcomes:
            self.status.note(judging=True)
            error = ErrorCode.NONE if outcome == "o" else ErrorCode.FRAME_BLACK
            self.status.note(judging=False, last_error=error)
            self.now_s += every_s


@pytest.fixture
def line(caplog):
    caplog.set_level("INFO", "edge_runtime.daemon.status")
    return Line()


def test_a_station_that_gets_worse_and_well_again_is_logged_and_each_part_is_not(line, caplog):
    line.parts("ooeeeoo")
    assert caplog.messages == [DEGRADED, READY]


def test_a_station_that_gets_worse_again_and_again_is_logged_once_a_minute(line, caplog):
    line.parts("eo" * 40)  # 80 s
    assert caplog.messages == [DEGRADED, READY] * 2
    assert [report.state.value for report in line.shown].count("DEGRADED") == 40  # the broker sees each


def test_a_station_that_stays_worse_is_logged_although_it_was_well_for_a_moment(line, caplog):
    line.parts("eoe")
    assert caplog.messages == [DEGRADED, READY]
    line.parts("e" * 60)
    assert caplog.messages == [DEGRADED, READY, DEGRADED]


def test_a_state_that_calls_for_somebody_is_logged_each_time(line, caplog):
    for _ in range(2):
        line.status.note(paused=True)
        line.status.note(paused=False)
    assert caplog.messages == ["state NOTREADY;000;paused", READY] * 2


@pytest.mark.parametrize(
    ("stuck", "worse"),
    [
        ({"camera_stuck": True}, "state FAULT;101;the camera's driver does not answer"),
        ({"camera_lost": True}, "state NOTREADY;101;the camera delivers nothing"),
    ],
)
def test_a_state_that_flaps_with_each_part_is_logged_once_a_minute(line, caplog, stuck, worse):
    for _ in range(80):  # as with a deadline_ms that is shorter than taking a picture
        line.status.note(last_error=ErrorCode.FRAME_MISSING, **stuck)
        line.now_s += 0.5
        line.status.note(**dict.fromkeys(stuck, False))
        line.now_s += 0.5
    assert caplog.messages == [worse, "state DEGRADED;101;the last verdict was ERROR"] * 2
    assert [report.payload().decode() for report in line.shown].count(worse.removeprefix("state ")) == 80


def test_another_fault_is_logged_at_once_and_one_that_stays_after_a_minute_at_most(line, caplog):
    line.status.note(camera_stuck=True)
    line.status.note(camera_stuck=False, last_error=ErrorCode.FRAME_MISSING)
    line.status.note(engine_stuck=True)
    line.status.note(engine_stuck=False)
    line.status.note(camera_stuck=True)
    assert caplog.messages[2:] == [
        "state FAULT;205;the engine does not answer", "state DEGRADED;101;the last verdict was ERROR"
    ]  # fmt: skip
    line.now_s += 60
    line.status.note(storage_short=ErrorCode.NONE)  # as with each heartbeat
    assert caplog.messages[4:] == ["state FAULT;101;the camera's driver does not answer"]


def test_the_end_of_a_fault_is_logged_although_the_station_was_worse_just_now(line, caplog):
    line.parts("eo")
    line.status.note(camera_stuck=True)
    line.status.note(camera_stuck=False, last_error=ErrorCode.FRAME_MISSING)
    assert [record.levelname for record in caplog.records[2:]] == ["ERROR", "INFO"]
    assert caplog.messages[2:] == [
        "state FAULT;101;the camera's driver does not answer", "state DEGRADED;101;the last verdict was ERROR"
    ]  # fmt: skip
