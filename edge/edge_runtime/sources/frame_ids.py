"""Which of a camera's frames belongs to which trigger. Pure: numbers in, an answer out.

A triggered camera numbers its frames one after the other. So the frame of the trigger in hand is the next one, after as
many as are still owed for triggers that were given up: these are recognised when they come late, and thrown away.

    number = numbers.of(frame_id, whole=True)
    triggers.sent()
    triggers.sort(number)     # OWN, LATE, or STRAY
    triggers.given_up()       # the trigger expired without a frame
"""

from __future__ import annotations

from enum import Enum, auto

SHORT = 1 << 16  # GigE Vision's block ids, unless extended, have 16 bits, and leave out 0
NEAR = 32  # an incomplete frame's number is accepted if it is so few ahead


class FrameNumbers:
    """A camera's frame ids as numbers that only grow."""

    def __init__(self) -> None:
        self._last_id: int | None = None
        self._number = 0
        self._counts_zero = False

    def of(self, frame_id: int, whole: bool) -> int | None:
        """The number of the frame that came now; None when that cannot be known.

        whole: of a frame that is not, the first packet with its id may be lost; then Aravis leaves the id of an earlier
        frame in the buffer. Such a frame is taken for the one that follows the last.
        """
        if self._last_id is None and not whole:
            return None
        steps = self._steps_to(frame_id)
        if not whole and not 0 < steps <= NEAR:
            frame_id, steps = self._following(), 1
        self._counts_zero |= frame_id == 0
        self._last_id = frame_id
        self._number += steps
        return self._number

    def _steps_to(self, frame_id: int) -> int:
        if self._last_id is None:
            return max(frame_id, 1)
        steps = frame_id - self._last_id
        if self._last_id < SHORT and steps < -SHORT // 2:
            steps += SHORT - (frame_id > 0 and not self._counts_zero)
        return steps

    def _following(self) -> int:
        last = self._last_id or 0
        return last + 1 if last != SHORT - 1 else int(not self._counts_zero)


class Belongs(Enum):
    """To whom a frame belongs."""

    OWN = auto()  # to the trigger in hand
    LATE = auto()  # to one that was given up
    STRAY = auto()  # to none: the camera counts otherwise than triggers were sent


class TriggerLedger:
    """See the module."""

    def __init__(self) -> None:
        self._last: int | None = None  # the number of the last frame that came
        self.owed = 0  # frames of triggers that were given up, and that have not come
        self._waits = False

    def restart(self) -> None:
        """The camera began again: nothing of before can come, and the next number may be any."""
        self._last, self.owed, self._waits = None, 0, False

    def sent(self) -> None:
        """A trigger went out."""
        self._waits = True

    def given_up(self) -> None:
        """No frame came for it in time; it may come late."""
        if self._waits:
            self._waits = False
            self.owed += 1

    def sort(self, number: int | None) -> Belongs:
        """A frame came, whole or not. None: its number is not known, so it is the next one."""
        steps = 1 if self._last is None or number is None else number - self._last
        self._last = number
        if 0 < steps <= self.owed:
            self.owed -= steps  # those between never will come
            return Belongs.LATE
        if steps == self.owed + 1 and self._waits:
            self.owed, self._waits = 0, False
            return Belongs.OWN
        return Belongs.STRAY
