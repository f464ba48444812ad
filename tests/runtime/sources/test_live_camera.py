from __future__ import annotations

import queue
import threading
import time

import numpy as np
import pytest

from edge_runtime.errors import SourceError
from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame
from edge_runtime.sources.frame_grabber import FrameGrabber
from edge_runtime.sources.live_camera import CameraLostError, LiveCamera

WAIT_S = 10
FRAME = Frame("test", 1, 0, np.zeros((2, 2, 3), np.uint8))


class Connection:
    """Gives a frame each time, until it is set to be lost."""

    def __init__(self):
        self.lost: Exception | None = None
        self.closed = threading.Event()
        self.dropped = 2

    def next_frame(self, wait_s):
        if self.lost:
            raise self.lost
        return FRAME

    def look_after(self):
        if self.lost:
            raise self.lost

    def left_out(self):
        return {"dropped": self.dropped, "late": 1}

    def describe(self):
        return "a camera"

    def close(self):
        self.closed.set()


class Maker:
    """Connects, or fails, as the list says; a failure is raised, anything else is a connection. At its end it waits."""

    def __init__(self, *results):
        self.results, self.more = list(results), threading.Event()

    def __call__(self):
        if not self.results:
            self.more.wait(WAIT_S)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def opened(*results):
    return LiveCamera("aravis://x", Maker(*results), backoff_s=(0.01,))


def until(condition):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_camera_that_is_there_gives_its_frames():
    with opened(Connection()) as camera:
        assert (camera.next_frame(1.0), camera.problem(), camera.simulated) == (FRAME, None, False)


@pytest.mark.parametrize("error", [CameraLostError("gone"), SourceError("refused")])
def test_a_lost_camera_is_an_error_frame_then_a_problem_and_comes_back(error, caplog):
    first, second = Connection(), Connection()
    with opened(first, SourceError("no answer"), second) as camera:
        first.lost = error
        frame = camera.next_frame(1.0)
        assert isinstance(frame, FailedFrame)
        assert (frame.error, frame.detail) == (ErrorCode.FRAME_MISSING, str(error))
        assert first.closed.wait(WAIT_S)
        until(lambda: camera.problem() is None)
        assert camera.next_frame(1.0) is FRAME
        assert camera.times_lost == 1
    assert second.closed.is_set()
    assert f"aravis://x: {error}; it is tried again" in caplog.text


def test_a_camera_that_is_lost_while_nothing_is_asked_of_it_is_noticed():
    first = Connection()
    with opened(first, Connection()) as camera:
        first.lost = CameraLostError("gone")
        assert camera.problem() == "gone"
        until(lambda: camera.problem() is None)


def test_without_a_camera_there_is_no_frame_and_no_end():
    maker = Maker(SourceError("no camera answers"))
    with LiveCamera("aravis://*", maker, backoff_s=(60.0,)) as camera:
        assert camera.problem() == "no camera answers"
        began_s = time.monotonic()
        assert isinstance(camera.next_frame(0.05), NoFrame)
        assert time.monotonic() - began_s < 5
    # and closing did not wait for the next try


def test_the_newest_frame_wins_and_the_others_are_given_back_and_counted():
    source, back = queue.Queue(), []
    grabber = FrameGrabber(lambda: source.get(timeout=WAIT_S), back.append, depth=1)
    for number in (1, 2, 3):
        source.put(number)
    until(lambda: grabber.dropped == 2)
    assert (grabber.next(1.0), back) == (3, [1, 2])
    source.put(None)
    assert grabber.next(0.01) is None
    source.put(4)
    until(lambda: grabber.next(0.01) == 4)
    source.put(5)
    until(lambda: source.empty())
    grabber._closing = True
    source.put(None)
    grabber.close()
    assert back == [1, 2, 5]


def test_where_each_frame_counts_they_wait_in_order():
    source = iter([1, 2, 3])
    grabber = FrameGrabber(lambda: next(source), lambda frame: None, depth=10)
    assert [grabber.next(1.0) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(StopIteration):  # what ended the driver's thread, after its last frame
        grabber.next(1.0)
    with pytest.raises(StopIteration):
        grabber.check()
    grabber.close()


def test_what_was_left_out_is_counted_on_over_connections_and_never_gets_less():
    first, second = Connection(), Connection()
    with opened(first, second) as camera:
        camera.next_frame(WAIT_S)
        assert camera.left_out() == {"dropped": 2, "late": 1}
        first.lost = CameraLostError("gone")
        camera.next_frame(WAIT_S)
        second.dropped = 5
        camera.next_frame(WAIT_S)
        assert camera.left_out() == {"dropped": 7, "late": 2}
