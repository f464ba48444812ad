from __future__ import annotations

import pytest
from tests.support.station_stage import frame

from edge_runtime.errors import StorageError
from edge_runtime.wire.commands import Command, Trigger
from edge_runtime.wire.states import State


def test_pause_stops_free_running_and_resume_goes_on(stage):
    s = stage("free-running", frame())
    for command in (Command.PAUSE, Command.RESUME):
        s.events.put(command)
    assert s.step() is not None
    assert s.publisher.states == [State.READY, State.NOTREADY, State.READY]
    assert s.publisher.replies == [b"PAUSE;DONE", b"RESUME;DONE"]


def test_a_camera_that_is_lost_takes_the_station_out_of_service_until_it_is_back(stage):
    s = stage("triggered")
    s.source.lost = "unplugged"
    s.dispatcher.check_camera()
    assert s.status.report.payload() == b"NOTREADY;101;the camera delivers nothing"
    s.source.lost = None
    s.dispatcher.check_camera()
    assert s.publisher.states[-1] is State.READY


def test_the_watchdog_hears_of_the_self_test_and_of_each_turn(stage):
    s = stage("free-running", frame())
    s.step()
    assert s.notified == ["READY=1", "WATCHDOG=1"]


def test_a_trigger_accepted_before_the_stop_still_gets_its_verdict(stage):
    s = stage("triggered", frame())
    s.trigger()
    s.events.stop()
    assert s.step().trigger_id == 7
    assert s.step() is None
    assert s.trigger_gate.offer(Trigger(8, 12, "")).reply.value == "NOTREADY"


def test_a_stop_ends_free_running_before_the_next_frame(stage):
    s = stage("free-running", frame(), frame())
    s.step()
    s.events.stop()
    assert s.step() is None
    assert len(s.source.frames) == 1


def test_what_ended_another_thread_is_raised_here(stage):
    s = stage("triggered")
    s.events.put(StorageError("gone"))
    with pytest.raises(StorageError, match="gone"):
        s.step()
