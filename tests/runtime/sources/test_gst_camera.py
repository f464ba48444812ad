"""GStreamer's own test pictures, as live as a camera's."""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np
import pytest

from edge_runtime.errors import ConfigError
from edge_runtime.records import Frame, NoFrame
from edge_runtime.sources.gst_binding import load_gst, pipeline_of
from edge_runtime.sources.settings import CameraSettings, SourceSettings


def has_gst():
    if find_spec("gi") is None:
        return False
    try:
        load_gst()
    except ConfigError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_gst(), reason="needs PyGObject and gir1.2-gst-plugins-base-1.0")
WAIT_S = 10
LIVE = "gst://videotestsrc is-live=true pattern=ball ! video/x-raw,width=90,height=62,framerate=50/1"


@pytest.fixture
def open_camera():
    from edge_runtime.sources.gst_camera import open_gst

    opened = []

    def open_camera(uri=LIVE, mode="free-running", **camera):
        opened.append(open_gst(SourceSettings(uri=uri, camera=CameraSettings(**camera)), mode))
        return opened[-1]

    yield open_camera
    for one in opened:
        one.__exit__(None, None, None)


def taken(source):
    frame = source.next_frame(WAIT_S)
    assert isinstance(frame, Frame), frame
    return frame


def test_frames_come_as_bgr_whatever_their_row_length(open_camera):
    red = "gst://videotestsrc is-live=true pattern=red ! video/x-raw,format=RGB,width=90,height=62,framerate=50/1"
    image = taken(open_camera(red)).image
    assert (image.shape, image.dtype, image.flags.c_contiguous, image.flags.writeable) == (
        (62, 90, 3), np.uint8, True, True,
    )  # fmt: skip
    assert (image == (0, 0, 255)).all()


def test_the_newest_frame_wins_and_the_others_are_counted(open_camera):
    source = open_camera()
    first = taken(source)
    time.sleep(0.5)
    second = taken(source)
    assert time.monotonic_ns() - second.captured_ns < 250_000_000
    assert second.sequence - first.sequence == source.connection.left_out()["dropped"] + 1 > 5


def test_a_request_gets_a_frame_that_was_exposed_after_it(open_camera):
    source = open_camera(mode="triggered")
    for _ in range(3):
        asked_ns = time.monotonic_ns()
        assert taken(source).captured_ns >= asked_ns


def test_what_was_under_way_when_the_request_came_is_not_taken(open_camera):
    source = open_camera(mode="triggered", latency_ms=300)
    asked_ns = time.monotonic_ns()
    frame = taken(source)
    assert frame.captured_ns >= asked_ns
    assert time.monotonic_ns() - asked_ns >= 300_000_000


def test_rotation_turns_the_picture(open_camera):
    assert taken(open_camera(rotate=270)).image.shape == (90, 62, 3)


def test_the_end_of_the_stream_is_a_lost_camera_that_comes_back(open_camera):
    source = open_camera(LIVE.replace("videotestsrc", "videotestsrc num-buffers=10"))
    deadline = time.monotonic() + WAIT_S
    while not source.times_lost:
        assert time.monotonic() < deadline
        source.next_frame(0.1)
    assert taken(source).sequence == 1


def test_a_source_that_is_not_there_is_reported_and_tried_again(open_camera):
    source = open_camera("gst://filesrc location=/nowhere ! decodebin")
    assert "/nowhere" in source.problem()
    assert isinstance(source.next_frame(0.05), NoFrame)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gst://videotestsrc ! nonsense", "cannot make this pipeline: no element .nonsense.*try it with gst-launch"),
        ("gst://videotestsrc ! appsink", "leave the appsink out"),
        ("csi://0", "no element nvarguscamerasrc: apt install nvidia-l4t-gstreamer"),
    ],
)
def test_a_pipeline_that_can_never_run_is_refused(open_camera, uri, message):
    with pytest.raises(ConfigError, match=message):
        open_camera(uri)


def test_presets_are_pipelines():
    rtsp = pipeline_of(SourceSettings(uri="rtsp://user:secret@10.0.0.2/stream"))
    assert rtsp.startswith('rtspsrc location="rtsp://user:secret@10.0.0.2/stream" protocols=tcp')
    sized = SourceSettings(uri="v4l2:///dev/video0", camera=CameraSettings(width=640, height=480), fps=30.0)
    assert pipeline_of(sized).startswith(
        'v4l2src device="/dev/video0" ! "video/x-raw,width=640,height=480,framerate=30000/1000;image/jpeg'
    )


def test_a_password_in_the_uri_is_not_logged():
    assert SourceSettings(uri="rtsp://user:secret@10.0.0.2/stream").label == "rtsp://user:***@10.0.0.2/stream"
