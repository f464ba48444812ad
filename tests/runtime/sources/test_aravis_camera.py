"""Aravis' simulated GigE Vision camera, as a process of its own on loopback."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from tests.support.gige_camera import NEEDS, GigeCamera, has_aravis

from edge_runtime.errors import SourceError
from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame
from edge_runtime.sources.settings import CameraSettings

pytestmark = pytest.mark.skipif(not has_aravis(), reason=NEEDS)

if has_aravis():
    from edge_runtime.sources.aravis_binding import list_cameras, open_camera
    from edge_runtime.sources.aravis_camera import AravisConnection

WAIT_S = 10


@pytest.fixture(scope="module")
def camera():
    with GigeCamera() as camera:
        yield camera


@pytest.fixture
def connect(camera):
    opened = []

    def connect(mode, fps=None, **settings):
        defaults = {"width": 64, "height": 64, "pixel_format": "Mono8", "packet_size": 1400, "exposure_us": 5000.0}
        opened.append(AravisConnection(open_camera("127.0.0.1"), CameraSettings(**(defaults | settings)), mode, fps))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def taken(connection):
    frame = connection.next_frame(WAIT_S)
    assert isinstance(frame, Frame), frame
    return frame


def test_it_is_found_by_its_serial_and_what_is_not_there_is_reported(camera):
    assert [(one.serial, one.address, one.protocol) for one in list_cameras()] == [("EDGE1", "127.0.0.1", "GigEVision")]
    assert open_camera("EDGE1").get_device_serial_number() == "EDGE1"
    assert open_camera("*").get_device_serial_number() == "EDGE1"
    with pytest.raises(SourceError, match=r"no camera EDGE2 answers; there are EDGE1 \(Fake\): check its power"):
        open_camera("EDGE2")


def test_settings_are_written_and_read_back(connect):
    state = connect("triggered", width=128, height=32, offset_x=16, gain_db=3.0).state
    assert (state.width, state.height, state.pixel_format) == (128, 32, "Mono8")
    assert (state.exposure_us, state.gain_db, state.packet_size, state.serial) == (5000.0, 3.0, 1400, "EDGE1")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pixel_format": "Mono12"}, "the camera has no pixel_format Mono12: it has BayerBG8, .*Mono8"),
        ({"features": {"Nonsense": 1}}, "this camera has no feature Nonsense now"),
        ({"trigger_source": "Line7"}, "the camera has no camera.trigger_source Line7: it has Line0, Software"),
    ],
)
def test_what_the_camera_refuses_is_reported(connect, settings, message):
    with pytest.raises(SourceError, match=message):
        connect("hardware", **({"trigger_source": "Line0"} | settings))


@pytest.mark.parametrize("pixel_format", ["Mono8", "RGB8", "BayerRG8", "Mono16"])
def test_each_trigger_gives_one_frame_with_the_next_number_as_eight_bit_bgr(connect, pixel_format):
    connection = connect("triggered", pixel_format=pixel_format)
    began_ns, frames = time.monotonic_ns(), [taken(connection) for _ in range(3)]
    assert [f.sequence - frames[0].sequence for f in frames] == [0, 1, 2]
    for frame in frames:
        assert (frame.image.shape, frame.image.dtype) == ((64, 64, 3), np.uint8)
        assert began_ns <= frame.captured_ns <= time.monotonic_ns()
    assert frames[0].camera_ns < frames[1].camera_ns < frames[2].camera_ns
    assert (connection.restarts, connection.left_out()) == (0, {"dropped": 0, "late": 0, "incomplete": 0})


def taken_before_one_expires(connection):
    """The frame before a trigger that expires: its exposure takes longer than it has, unless the machine is busy."""
    deadline, before = time.monotonic() + WAIT_S, taken(connection)
    while not isinstance(frame := connection.next_frame(0.01), NoFrame):
        assert time.monotonic() < deadline
        before = frame
    return before


def test_the_late_frame_of_an_expired_trigger_is_not_the_next_trigger_s(connect):
    connection = connect("triggered", exposure_us=100_000.0)
    first = taken_before_one_expires(connection)
    time.sleep(0.5)
    asked_ns = time.monotonic_ns()
    frame = taken(connection)
    assert (frame.sequence, frame.captured_ns > asked_ns) == (first.sequence + 2, True)
    assert (connection.late, connection.restarts) == (1, 0)


def test_a_camera_that_took_no_picture_for_a_trigger_is_bound_again(connect):
    connection = connect("triggered", exposure_us=100_000.0)
    taken_before_one_expires(connection)
    connection.next_frame(0.5)  # the simulated camera forgets a trigger that comes while it exposes
    deadline = time.monotonic() + WAIT_S
    while not isinstance(connection.next_frame(0.5), Frame):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert connection.restarts <= 1


def test_a_late_frame_is_thrown_away_while_nothing_else_is_to_do(connect):
    connection = connect("triggered", exposure_us=100_000.0)
    taken_before_one_expires(connection)
    deadline = time.monotonic() + WAIT_S
    while not connection.late:
        assert time.monotonic() < deadline
        connection.look_after()
        time.sleep(0.02)
    assert isinstance(connection.next_frame(WAIT_S), Frame)
    assert connection.restarts == 0


def test_a_frame_that_no_trigger_asked_for_is_bound_to_none(connect):
    connection = connect("triggered")
    taken(connection)
    connection._camera.software_trigger()  # somebody else
    time.sleep(0.3)
    assert isinstance(connection.next_frame(WAIT_S), Frame)  # it was thrown away before this trigger went out
    assert connection.restarts == 1


def test_free_running_the_newest_frame_wins_and_the_others_are_counted(connect):
    connection = connect("free-running", fps=50.0)
    first = taken(connection)
    time.sleep(0.5)
    second = taken(connection)
    assert time.monotonic_ns() - second.captured_ns < 250_000_000
    assert second.sequence - first.sequence == connection.left_out()["dropped"] + 1 > 5


def test_a_camera_without_a_trigger_gives_the_first_frame_that_began_after_the_request(connect):
    connection = connect("triggered", fps=20.0, trigger_source="none")
    for _ in range(3):
        asked_ns = time.monotonic_ns()
        assert taken(connection).captured_ns - 5_000_000 >= asked_ns


def test_rotation_turns_the_picture(connect):
    assert taken(connect("triggered", width=64, height=32, rotate=90)).image.shape == (64, 32, 3)


def test_a_frame_with_lost_packets_is_error_106_and_the_next_one_is_whole_again(camera):
    camera.kill()
    with_losses = GigeCamera(lost_per_thousand=50)
    with_losses.start()
    try:
        settings = CameraSettings(width=64, height=64, packet_size=576, pixel_format="Mono8")
        connection = AravisConnection(open_camera("127.0.0.1"), settings, "triggered")
        connection._stream.set_property("packet-resend", 0)  # otherwise nearly all are sent again
        frames = [connection.next_frame(2.0) for _ in range(12)]
        connection.close()
    finally:
        with_losses.kill()
        camera.start()
    failed = [frame for frame in frames if isinstance(frame, FailedFrame)]
    assert {frame.error for frame in failed} == {ErrorCode.FRAME_SHORT}
    assert re.match(r"the frame is not whole \((missing packets|timeout)\): check network", failed[0].detail)
    assert (connection.incomplete, connection.restarts) == (len(failed), 0)
    assert any(isinstance(frame, Frame) for frame in frames[frames.index(failed[0]) :])
