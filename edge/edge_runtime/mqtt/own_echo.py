"""Whether the station's own verdicts come back from the broker: with MQTT 3.1.1 the one sign that it passes them on.

A 3.1.1 broker confirms a message that its access list forbids and drops it in silence. So the station subscribes to its
own `/verdict/json`, and a verdict that was confirmed counts as delivered when its line has come back, or when a
consumer acknowledged it. MQTT 5 brokers say in each PUBACK what became of the message, and nothing is awaited.
"""

from __future__ import annotations

WITHIN_S = 5.0
MOST = 1000  # verdicts whose lines are awaited; further ones stay in the spool all the same


class OwnEcho:
    """See the module. To be used by one thread."""

    def __init__(self) -> None:
        self.is_on = False  # lines are awaited
        self._ever_came = False
        self._is_blind = False  # a consumer had what did not come back: the station may write, and not read
        self._awaited: dict[int, float] = {}  # seq -> when it was confirmed, in this order
        self._early: set[int] = set()  # came back before all three records were confirmed

    @property
    def is_awaiting(self) -> bool:
        """Whether a confirmed verdict has not come back yet."""
        return bool(self._awaited)

    def connected(self, subscribed: bool) -> None:
        """A connection is up. subscribed: lines come back on it, if any do."""
        self.is_on = subscribed and not self._is_blind

    def lost(self) -> None:
        """The connection is gone: what was confirmed and did not come back is backlog."""
        self.is_on = False
        self.forget()
        self._early.clear()

    def forget(self) -> None:
        """Nothing is awaited any more; what was is sent again. What came back early stays: it is not sent again."""
        self._awaited.clear()

    def confirmed(self, seq: int, now_s: float) -> bool:
        """The broker has a verdict in full. Returns whether it is delivered."""
        if not self.is_on:
            return True
        if seq in self._early:
            self._early.discard(seq)
            return True
        if len(self._awaited) < MOST:
            self._awaited[seq] = now_s
        return False

    def came_back(self, seq: int, is_out: bool) -> bool:
        """A line came back. is_out: its verdict is not confirmed yet. Returns whether it is thereby delivered."""
        self._ever_came = True
        if is_out and self.is_on:
            self._early.add(seq)
            return False
        return self._awaited.pop(seq, None) is not None

    def acknowledged(self, upto: int, now_s: float) -> bool:
        """A consumer has all verdicts up to a seq. Returns whether that shows that the station can write, not read."""
        had = [seq for seq in self._awaited if seq <= upto]
        since_s = min((self._awaited.pop(seq) for seq in had), default=now_s)
        if self._ever_came or now_s - since_s < 1.0:  # the line may be on its way
            return False
        self.stop_waiting()
        return True

    def stop_waiting(self) -> None:
        """Lines do not come back, and that means nothing: from now on none is awaited."""
        self._is_blind, self.is_on = True, False

    def overdue(self, now_s: float) -> int | None:
        """The oldest verdict that should have come back by now."""
        for seq, since_s in self._awaited.items():
            return seq if now_s - since_s > WITHIN_S else None
        return None
