"""What is on its way to the broker, and what still has to go: the publisher's bookkeeping, without any I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class _Message:
    seq: int  # 0 for what is no verdict
    sent_s: float


class InFlight:
    """Messages in flight, and the backlog as a range of seqs. Which of these wait is the spool's to know.

    last_seq: the last verdict of earlier runs; all up to it are backlog.
    """

    def __init__(self, last_seq: int) -> None:
        self._messages: dict[int, _Message] = {}  # by message id, in the order of sending
        self._records_out: Counter[int] = Counter()  # seq -> how many of its records are not confirmed
        self._live: set[int] = set()  # those that went out without the replay flag and are not confirmed
        self._backlog_next, self._backlog_last = 1, last_seq
        self._newest = last_seq

    @property
    def unconfirmed(self) -> int:
        """Messages handed over and not confirmed."""
        return len(self._messages)

    @property
    def live(self) -> int:
        """Live verdicts handed over and not confirmed."""
        return len(self._live)

    @property
    def backlog(self) -> tuple[int, int]:
        """The range of seqs, both ends included, among which some may never have been handed over."""
        return self._backlog_next, self._backlog_last

    @property
    def has_backlog(self) -> bool:
        """Whether that range has anything in it."""
        return self._backlog_next <= self._backlog_last

    @property
    def is_empty(self) -> bool:
        """Whether every verdict was handed over and confirmed."""
        return not self._records_out and not self.has_backlog

    def waited_s(self, now_s: float) -> float:
        """How long the oldest message in flight has waited for its confirmation; 0 when there is none."""
        return now_s - next(iter(self._messages.values())).sent_s if self._messages else 0.0

    def add(self, mid: int, now_s: float, seq: int = 0) -> None:
        """A message was handed over; seq when it is a record of a verdict."""
        self._messages[mid] = _Message(seq, now_s)
        if seq:
            self._records_out[seq] += 1
            self._newest = max(self._newest, seq)

    def add_live(self, seq: int) -> None:
        """The records of this verdict, which are handed over now, are live ones."""
        self._live.add(seq)

    def confirm(self, mid: int) -> int:
        """The broker has a message. Returns the seq of the verdict that is thereby delivered in full, or 0."""
        message = self._messages.pop(mid, None)
        if message is None or not message.seq:
            return 0
        seq = message.seq
        self._records_out[seq] -= 1
        if self._records_out[seq]:
            return 0
        del self._records_out[seq]
        self._live.discard(seq)
        return seq

    def refuse(self, mid: int) -> None:
        """The broker did not take a message. What it carries counts as out, and is backlog on the next connection."""
        message = self._messages.pop(mid, None)
        if message is not None:
            self._live.discard(message.seq)

    def connection_lost(self) -> None:
        """The connection is gone, and everything in flight with it: all that is not delivered is backlog."""
        self._messages.clear()
        self._records_out.clear()
        self._live.clear()
        self._backlog_next, self._backlog_last = 1, self._newest

    def is_out(self, seq: int) -> bool:
        """Whether a verdict was handed over and waits for its confirmation."""
        return seq in self._records_out

    def postpone(self, seq: int) -> None:
        """The newest verdict cannot be sent now: it joins the backlog."""
        self._newest = max(self._newest, seq)
        self._backlog_last = seq

    def backlog_done_to(self, seq: int) -> None:
        """The backlog was handed over up to a seq."""
        self._backlog_next = seq + 1
