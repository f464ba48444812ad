"""What is on its way to the broker, and what still has to go: the publisher's bookkeeping, without any I/O."""

from __future__ import annotations

from collections import Counter


class Outbox:
    """Messages in flight, and the backlog as a range of seqs. Which of these wait is the spool's to know.

    last_seq: the last verdict of earlier runs; all up to it are backlog.
    """

    def __init__(self, last_seq: int) -> None:
        self._in_flight: dict[int, int] = {}  # message id -> seq; 0 for what is no verdict
        self._records_out: Counter[int] = Counter()  # seq -> how many of its records are not confirmed
        self._backlog_next, self._backlog_last = 1, last_seq

    @property
    def in_flight(self) -> int:
        """Messages handed over and not confirmed."""
        return len(self._in_flight)

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

    def add(self, mid: int, seq: int = 0) -> None:
        """A message was handed over; seq when it is a record of a verdict."""
        self._in_flight[mid] = seq
        if seq:
            self._records_out[seq] += 1

    def confirm(self, mid: int) -> int:
        """The broker has a message. Returns the seq of the verdict that is thereby delivered in full, or 0."""
        seq = self._in_flight.pop(mid, 0)
        if not seq:
            return 0
        self._records_out[seq] -= 1
        if self._records_out[seq]:
            return 0
        del self._records_out[seq]
        return seq

    def is_out(self, seq: int) -> bool:
        """Whether a verdict was handed over and waits for its confirmation."""
        return seq in self._records_out

    def postpone(self, seq: int) -> None:
        """The newest verdict cannot be sent now: it joins the backlog."""
        self._backlog_last = seq

    def backlog_done_to(self, seq: int) -> None:
        """The backlog was handed over up to a seq."""
        self._backlog_next = seq + 1
