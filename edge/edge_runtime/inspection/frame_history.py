"""Faults that one frame alone does not show: it is old, or it is the one before once more."""

from __future__ import annotations

import numpy as np

from edge_runtime.records import ErrorCode, Frame, FrameFault


class FrameHistory:
    """Remembers the last frame. Only the serving thread calls it.

    max_age_ms: from the exposure to having the frame in hand. frozen: whether a frame may not be the one before once
    more; recorded pictures may repeat.
    """

    def __init__(self, max_age_ms: int, frozen: bool = True) -> None:
        self._max_age_ms, self._frozen = max_age_ms, frozen
        self._last: Frame | None = None

    def fault(self, frame: Frame, requested_ns: int, taken_ns: int) -> FrameFault | None:
        """Why a frame must not be judged, or None. ordered_ns, taken_ns: when it was asked for, and in hand."""
        last, self._last = self._last, frame
        early_ms, age_ms = (requested_ns - frame.captured_ns) / 1e6, (taken_ns - frame.captured_ns) / 1e6
        if early_ms > 0:
            found = f"the frame was taken {early_ms:.1f} ms before its trigger: another part's"
            return FrameFault(ErrorCode.FRAME_STALE, found)
        if age_ms > self._max_age_ms:
            limit = f"health.max_age_ms or deadline_ms: {self._max_age_ms}"
            found = f"the frame is {age_ms:.0f} ms old ({limit}): check the camera's buffers"
            return FrameFault(ErrorCode.FRAME_STALE, found)
        if last is None or not self._frozen:
            return None
        if frame.camera_ns and frame.camera_ns == last.camera_ns:
            found = f"the camera's time stamp {frame.camera_ns} came twice: restart the camera"
            return FrameFault(ErrorCode.FRAME_FROZEN, found)
        if _is_same(frame, last):
            return FrameFault(
                ErrorCode.FRAME_FROZEN,
                "the frame is the one before, bit by bit: restart the camera; for recorded pictures that repeat, set "
                "health.frozen to false",
            )
        return None


def _is_same(frame: Frame, last: Frame) -> bool:
    """Bit by bit; two frames of a real sensor nearly always differ in their middle row already."""
    one, other = frame.image, last.image
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    middle = slice(len(one) // 2, len(one) // 2 + 1)
    return np.array_equal(one[middle], other[middle]) and np.array_equal(one, other)
