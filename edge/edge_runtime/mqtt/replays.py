"""Which verdicts consumers want again: ranges of seqs, each seq once, in the order in which they were asked for.

However often everything is asked for, one pass is under way and one more waits at most.

>>> replays = Replays()
>>> replays.add(SeqRange(1, 100)), replays.add(SeqRange(50, 120))
(True, True)
>>> replays.next_range(), replays.next_range(), replays.next_range()
(SeqRange(first=1, last=100), SeqRange(first=101, last=120), None)
"""

from __future__ import annotations

from collections import deque

from edge_runtime.wire.commands import SeqRange

MOST = 64  # ranges that wait


class Replays:
    """See the module. To be used by one thread."""

    def __init__(self) -> None:
        self._waiting: deque[SeqRange] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, wanted: SeqRange) -> bool:
        """Add what does not wait already. False: too many ranges wait, and nothing of this one was added."""
        pieces = [wanted]
        for waiting in self._waiting:
            pieces = [rest for piece in pieces for rest in _without(piece, waiting)]
        if len(self._waiting) + len(pieces) > MOST:
            return False
        self._waiting.extend(pieces)
        return True

    def next_range(self) -> SeqRange | None:
        """Take the range that is next."""
        return self._waiting.popleft() if self._waiting else None

    def put_back(self, rest: SeqRange) -> None:
        """What is left of the range that was taken; it goes on there."""
        self._waiting.appendleft(rest)


def _without(piece: SeqRange, waiting: SeqRange) -> list[SeqRange]:
    """What of a range is in front of another one, and what is behind it."""
    before = SeqRange(piece.first, min(piece.last, waiting.first - 1))
    after = SeqRange(max(piece.first, waiting.last + 1), piece.last)
    return [found for found in (before, after) if found.first <= found.last]
