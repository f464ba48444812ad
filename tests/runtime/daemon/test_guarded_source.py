"""Whatever a source raises, a part gets its ERROR and the station goes on."""

from __future__ import annotations

import logging

import pytest

from edge_runtime.daemon.guarded_source import GuardedSource
from edge_runtime.records import ErrorCode, FailedFrame, NoFrame


class Raising:
    simulated = False

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def next_frame(self, wait_s: float) -> NoFrame:
        if self.errors:
            raise self.errors.pop(0)
        return NoFrame()

    def problem(self) -> str | None:
        if self.errors:
            raise self.errors.pop(0)
        return None


def test_a_frame_that_cannot_be_taken_is_one_that_failed_and_the_next_one_is_tried() -> None:
    source = GuardedSource(Raising(MemoryError("no room"), ValueError("odd")))

    first, second = source.next_frame(0), source.next_frame(0)

    assert isinstance(first, FailedFrame)
    assert first.error is ErrorCode.FRAME_UNREADABLE
    assert first.detail == "taking the frame failed: MemoryError: no room; see the log"
    assert isinstance(second, FailedFrame)
    assert source.next_frame(0) == NoFrame()


def test_the_same_failure_is_logged_once_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    source = GuardedSource(Raising(*[ValueError("odd")] * 3))

    for _ in range(3):
        source.next_frame(0)

    errors = [entry for entry in caplog.records if entry.levelno == logging.ERROR]
    assert [entry.getMessage() for entry in errors] == ["taking a frame failed; the next one is tried"]
    assert errors[0].exc_info is not None


def test_a_camera_that_cannot_even_be_asked_has_a_problem() -> None:
    source = GuardedSource(Raising(RuntimeError("driver is gone")))

    assert source.problem() == "the camera cannot be asked how it is: RuntimeError: driver is gone; see the log"
    assert source.problem() is None


def test_what_a_source_left_out_is_passed_on_where_it_counts_anything() -> None:
    class Camera(Raising):
        def left_out(self) -> dict[str, int]:
            return {"dropped": 3}

    assert GuardedSource(Camera()).left_out() == {"dropped": 3}
    assert GuardedSource(Raising()).left_out() == {}
