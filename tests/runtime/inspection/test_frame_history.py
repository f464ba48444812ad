from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_runtime.inspection.frame_history import FrameHistory
from edge_runtime.records import ErrorCode, Frame

MS = 1_000_000


def frame(seed, camera_ns=0, captured_ms=1000):
    image = np.random.default_rng(seed).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    return Frame("camera", seed, captured_ms * MS, image, camera_ns=camera_ns)


def codes(history, *frames, ordered_ms=1000, taken_ms=1010):
    faults = [history.fault(f, ordered_ms * MS, taken_ms * MS) for f in frames]
    return [fault and fault.error for fault in faults]


def test_frames_that_differ_in_one_bit_are_different_frames():
    first = frame(1)
    other = replace(first, image=first.image.copy())
    other.image[101, 77, 2] ^= 1
    assert codes(FrameHistory(500), first, other) == [None, None]


def test_the_same_frame_again_is_frozen_until_another_comes():
    history = FrameHistory(500)
    copied = replace(frame(1), image=frame(1).image.copy(), sequence=9)
    assert codes(history, frame(1), copied, copied, frame(2), frame(1)) == [
        None,
        ErrorCode.FRAME_FROZEN,
        ErrorCode.FRAME_FROZEN,
        None,
        None,
    ]


def test_the_same_time_stamp_of_the_camera_is_frozen_whatever_the_picture():
    assert codes(FrameHistory(500), frame(1, camera_ns=7), frame(2, camera_ns=7), frame(3, camera_ns=8)) == [
        None,
        ErrorCode.FRAME_FROZEN,
        None,
    ]


def test_recorded_pictures_may_repeat_where_the_station_says_so():
    assert codes(FrameHistory(500, frozen=False), frame(1), frame(1)) == [None, None]


def test_a_frame_of_before_its_trigger_is_another_parts():
    history = FrameHistory(500)
    assert codes(history, frame(1, captured_ms=999)) == [ErrorCode.FRAME_STALE]
    assert "taken 1.0 ms before its trigger" in history.fault(frame(2, captured_ms=999), 1000 * MS, 1010 * MS).detail


@pytest.mark.parametrize(("age_ms", "expected"), [(500, None), (501, ErrorCode.FRAME_STALE)])
def test_a_frame_that_waited_too_long_is_stale(age_ms, expected):
    assert codes(FrameHistory(500), frame(1), taken_ms=1000 + age_ms) == [expected]


def test_a_stale_frame_names_its_age_its_limit_and_the_key():
    fault = FrameHistory(500).fault(frame(1), 1000 * MS, 1501 * MS)
    assert fault.detail == "the frame is 501 ms old (health.max_age_ms or deadline_ms: 500): check the camera's buffers"


def test_frames_without_pixels_are_compared_like_others():
    empty = replace(frame(1), image=np.zeros((0, 640, 3), np.uint8))
    assert codes(FrameHistory(500), empty, empty) == [None, ErrorCode.FRAME_FROZEN]


def test_a_stale_frame_is_remembered_too():
    assert codes(FrameHistory(500), frame(1), frame(2, captured_ms=1), frame(2)) == [
        None,
        ErrorCode.FRAME_STALE,
        ErrorCode.FRAME_FROZEN,
    ]
