"""What this broker does not take: packets beyond its limit, topics that it refuses. Pure bookkeeping, no I/O.

With MQTT 5 the broker says both: its limit in CONNACK, a refusal in each PUBACK. With 3.1.1 it may just end the
connection, again and again with the same message. `EndedBy` finds out which one: when two connections end soon with the
same messages on their way, these go one at a time, and the one that was the last at two ends in a row is the cause. It
is then not sent any more. Some brokers (mosquitto 2.0 with `max_queued_messages 0`) confirm a forbidden message before
they end the connection for it.
"""

from __future__ import annotations

from collections import Counter

from edge_runtime.mqtt.in_flight import Message

ENDS = 2  # of connections, with this message alone on its way
SOON_S = 2.0  # the broker ends the connection within this time; later, it is rather the network
SOON_UP_S = 5.0  # a connection that lasts longer ended for another reason
SETTLED_S = 0.1  # a broker that confirms and then ends the connection does so within this time
BARRED_S = 60.0  # how long a topic that ends the connection is left out: its access list may be mended
OVERHEAD = 10  # of a packet beside topic and payload: 5 header, 2 topic's length, 2 message id, 1 properties


def packet_bytes(topic: str, payload: bytes) -> int:
    """How long a message is on the wire, at most.

    >>> packet_bytes("ev1/press/1/verdict", bytes(61))
    90
    """
    return OVERHEAD + len(topic) + len(payload)


class BrokerLimits:
    """See the module. To be used by one thread."""

    def __init__(self) -> None:
        self._stated: int | None = None  # by this connection's CONNACK
        self._ends_at: int | None = None  # packets of this length and more end the connection
        self._taken = 0  # the longest packet that the broker confirmed
        self._barred: dict[str, float] = {}  # topics that end the connection, and since when

    def connected(self, stated: int | None) -> None:
        """A connection is up. stated: the longest packet that the broker says it takes."""
        self._stated = stated

    def why_not(self, message: Message) -> str | None:
        """Why this message is not to be sent; None when it may be."""
        length = packet_bytes(message.topic, message.payload)
        if self._stated is not None and length > self._stated:
            return f"its packet of {length} bytes is beyond the broker's limit of {self._stated} (MQTT 5, CONNACK)"
        if self._ends_at is not None and length >= self._ends_at:
            return f"the broker ends the connection for packets of {self._ends_at} bytes: its limit is less"
        if message.topic in self._barred:
            return f"the broker ends the connection for messages on {message.topic}: check its access list"
        return None

    def is_barred(self, topic: str) -> bool:
        """Whether the topic itself ends the connection."""
        return topic in self._barred

    def confirmed(self, message: Message) -> None:
        """The broker took it."""
        length = packet_bytes(message.topic, message.payload)
        self._taken = max(self._taken, length)
        if self._ends_at is not None and length >= self._ends_at:
            self._ends_at = None

    def let_barred_go(self, now_s: float) -> bool:
        """Whether a topic that ended the connection is to be tried again now."""
        due = [topic for topic, since_s in self._barred.items() if now_s - since_s > BARRED_S]
        for topic in due:
            del self._barred[topic]
        return bool(due)

    def ends_connection(self, message: Message, now_s: float) -> str:
        """The broker ends the connection for this message, certainly. Returns what to do about it."""
        length = packet_bytes(message.topic, message.payload)
        if length > self._taken:
            self._ends_at = length
            return f"it may be beyond the broker's limit: let it take packets of {length} bytes and more"
        self._barred[message.topic] = now_s
        return f"the broker ends the connection for it: check its access list for {message.topic}"


class EndedBy:
    """Finds the message for which the broker ends the connection. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._up_s = 0.0
        self._there: set[tuple[str, int]] = set()  # what was on its way at the last end
        self._suspects: set[tuple[str, int]] = set()
        self._last: Message | None = None  # the last record that the broker answered for, and when
        self._answered_s = 0.0
        self._ends: Counter[tuple[str, int]] = Counter()

    @property
    def is_careful(self) -> bool:
        """Whether messages are to go one at a time."""
        return bool(self._suspects)

    def wait_s(self, now_s: float) -> float:
        """How long to wait with the next one: until it is certain that the broker goes on after the last."""
        return max(0.0, self._answered_s + SETTLED_S - now_s) if self._suspects and self._last else 0.0

    def connected(self, now_s: float) -> None:
        """A connection is up."""
        self._up_s = now_s

    def lost(self, unconfirmed: list[Message], waited_s: float, now_s: float) -> Message | None:
        """The connection ended while these were on their way. Returns the one that is the cause, if that is certain.

        waited_s: for how long the first of them was.
        """
        records = [message for message in unconfirmed if message.seq]
        before = [self._last] if self._last is not None and now_s - self._answered_s < SETTLED_S else []
        cause = None
        if self.is_careful and not unconfirmed and before:
            cause = before[0]
        elif self.is_careful and len(unconfirmed) == len(records) == 1 and waited_s < SOON_S:
            cause = records[0]
        self._last = None
        ends = self._ends[_key(cause)] + 1 if cause is not None else 0
        self._ends.clear()
        if cause is not None and ends >= ENDS:
            self._suspects.clear()
            return cause
        if cause is not None:
            self._ends[_key(cause)] = ends
        there = {_key(message) for message in (*before, *records)} if now_s - self._up_s < SOON_UP_S else set()
        self._suspects = there & self._there  # once is chance: brokers are restarted
        self._there = there
        return None

    def answered(self, message: Message, now_s: float) -> None:
        """The broker has answered for this message."""
        if message.seq:
            self._last, self._answered_s = message, now_s

    def settle(self, now_s: float) -> None:
        """Look whether the broker went on after the last message: then that was not the one."""
        if self._last is not None and now_s - self._answered_s >= SETTLED_S:
            self._suspects.discard(_key(self._last))
            self._ends.pop(_key(self._last), None)
            self._last = None

    def clear(self) -> None:
        """There is nothing left of what was on its way then."""
        self._suspects.clear()


def _key(message: Message) -> tuple[str, int]:
    return message.topic, message.seq
