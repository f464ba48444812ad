"""What is on its way to the broker, and what still has to go: the publisher's bookkeeping, without any I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One that is to be handed over at QoS 1. seq: of the verdict whose record it is; 0: of none.

    replayed: it answers `/replay`, and its confirmation delivers nothing.
    """

    topic: str
    payload: bytes
    seq: int = 0
    retain: bool = False
    replayed: bool = False

    @property
    def is_record(self) -> bool:
        """Whether a verdict is delivered by it and the others of the same seq."""
        return self.seq > 0 and not self.replayed


@dataclass(frozen=True)
class _Sent:
    message: Message
    sent_s: float


class InFlight:
    """Messages in flight, and the backlog as a range of seqs. Which of these wait is the spool's to know.

    last_seq: the last verdict of earlier runs; all up to it are backlog.
    """

    def __init__(self, last_seq: int) -> None:
        self._sent: dict[int, _Sent] = {}  # by message id, in the order of sending
        self._records_out: Counter[int] = Counter()  # seq -> how many of its records are neither confirmed nor held
        self._held: set[int] = set()  # of those that are out: one of their records was held back
        self._live: set[int] = set()  # those that went out without the replay flag and are not confirmed
        self._backlog_next, self._backlog_last = 1, last_seq
        self._newest = last_seq

    @property
    def unconfirmed(self) -> int:
        """Messages handed over and not confirmed."""
        return len(self._sent)

    @property
    def messages(self) -> list[Message]:
        """Those, in the order of sending."""
        return [sent.message for sent in self._sent.values()]

    @property
    def live(self) -> int:
        """Live verdicts handed over and not confirmed."""
        return len(self._live)

    @property
    def backlog(self) -> tuple[int, int]:
        """The range of seqs, both ends included, among which some may never have been handed over."""
        return self._backlog_next, self._backlog_last

    @property
    def everything(self) -> tuple[int, int]:
        """The range of all seqs so far, both ends included."""
        return 1, self._newest

    @property
    def has_backlog(self) -> bool:
        """Whether that range has anything in it."""
        return self._backlog_next <= self._backlog_last

    @property
    def is_empty(self) -> bool:
        """Whether every verdict was handed over and confirmed, or held back."""
        return not self._records_out and not self.has_backlog

    def waited_s(self, now_s: float) -> float:
        """How long the oldest message in flight has waited for its confirmation; 0 when there is none."""
        return now_s - next(iter(self._sent.values())).sent_s if self._sent else 0.0

    def begin(self, seq: int, records: int, is_live: bool = False) -> None:
        """So many records of a verdict will be handed over, or held back."""
        self._newest = max(self._newest, seq)
        self._records_out[seq] += records
        if is_live:
            self._live.add(seq)

    def hold(self, seq: int) -> None:
        """One of its records is not handed over: it will not be delivered in full."""
        self._held.add(seq)
        self._record_done(seq)

    def add(self, mid: int, now_s: float, message: Message) -> None:
        """A message was handed over."""
        self._sent[mid] = _Sent(message, now_s)

    def confirm(self, mid: int) -> tuple[Message | None, bool]:
        """The broker has a message: which one, and whether that completes the delivery of its verdict."""
        sent = self._sent.pop(mid, None)
        if sent is None:
            return None, False
        return sent.message, sent.message.is_record and self._record_done(sent.message.seq)

    def refuse(self, mid: int) -> Message | None:
        """The broker did not take a message: which one. Its verdict is not delivered."""
        sent = self._sent.pop(mid, None)
        if sent is None:
            return None
        if sent.message.is_record:
            self.hold(sent.message.seq)
        return sent.message

    def connection_lost(self) -> None:
        """The connection is gone, and everything in flight with it: all that is not delivered is backlog."""
        self._sent.clear()
        self._records_out.clear()
        self._live.clear()
        self._held.clear()
        self.start_over()

    def start_over(self) -> None:
        """All that is not delivered and not in flight is backlog."""
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

    def _record_done(self, seq: int) -> bool:
        """One record less of this verdict is out. Returns whether it is delivered in full."""
        self._records_out[seq] -= 1
        if self._records_out[seq] > 0:
            return False
        del self._records_out[seq]
        self._live.discard(seq)
        is_whole = seq not in self._held
        self._held.discard(seq)
        return is_whole
