"""Hands records of verdicts to the connection, and keeps the books of what became of each.

A record that the broker does not take is held back, and the others go. After connections that ended with the same
records on their way these go one at a time, so that it is known which of them ends connections.
Where the broker lets nothing through, one verdict is tried again every few seconds.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from edge_runtime.monitoring.log import LogThrottle
from edge_runtime.mqtt.broker_limits import BrokerLimits, EndedBy, packet_bytes
from edge_runtime.mqtt.connection import BrokerConnection, Up
from edge_runtime.mqtt.held_back import DeliveryProblem, HeldBack
from edge_runtime.mqtt.in_flight import InFlight, Message
from edge_runtime.mqtt.own_echo import OwnEcho
from edge_runtime.records import Flag, Verdict
from edge_runtime.storage.spool import Spool
from edge_runtime.wire.commands import SeqRange
from edge_runtime.wire.topics import Topics
from edge_runtime.wire.verdict_ascii import encode_ascii
from edge_runtime.wire.verdict_binary import encode_binary
from edge_runtime.wire.verdict_json import encode_json

log = logging.getLogger(__name__)

TRY_AGAIN_S = 5.0  # how often a broker that lets nothing through gets one verdict again


class RecordSender:
    """See the module. Only the publisher's thread calls it."""

    def __init__(self, topics: Topics, spool: Spool, in_flight: InFlight, clock: Callable[[], float]) -> None:
        self._topics, self._spool, self._in_flight, self._clock = topics, spool, in_flight, clock
        self._connection: BrokerConnection | None = None
        self._waiting: deque[Message] = deque()  # begun, and not handed over while messages go one at a time
        self._limits, self._ended_by, self._echo, self._held = BrokerLimits(), EndedBy(), OwnEcho(), HeldBack()
        self._refused: dict[str, str] = {}  # topics of verdicts on which the last message was refused, and why
        self._is_silent, self._silent_seq = False, 0  # verdicts do not come back, from this one on
        self._try_again_s = clock()
        self._throttle = LogThrottle(clock)

    @property
    def is_waiting(self) -> bool:
        """Whether something was begun that is not handed over yet."""
        return bool(self._waiting)

    @property
    def has_open(self) -> bool:
        """Whether there are verdicts that the broker has in part, or has and does not show."""
        return bool(self._held) or self._echo.is_awaiting

    @property
    def expects_echo(self) -> bool:
        """Whether a verdict is on its way back, as far as is known."""
        return self._echo.is_awaiting and not self._is_silent

    @property
    def held_back(self) -> int:
        """How many records were held back since the start."""
        return self._held.total

    @property
    def problem(self) -> DeliveryProblem:
        """What keeps verdicts from their consumers, if anything."""
        fixed, line = (self._topics.verdict, self._topics.verdict_bin), self._topics.verdict_json
        barred = next((topic for topic in (*fixed, line) if self._limits.is_barred(topic)), None)
        if self._refused:
            topic, reason = next(iter(self._refused.items()))
            return DeliveryProblem(stops=f"the broker refuses {self._topics.name_of(topic)}: {reason}")
        if barred is not None:
            return DeliveryProblem(stops=f"the broker ends the connection for {self._topics.name_of(barred)}")
        if self._held.has_on(fixed):
            return DeliveryProblem(stops="the broker does not take the fixed records")
        if self._is_silent:
            return DeliveryProblem(stops="verdicts do not come back: check the access list")
        if self._held:
            return DeliveryProblem(held="JSON lines beyond the broker's limit are held back")
        return DeliveryProblem()

    def connected(self, connection: BrokerConnection, up: Up) -> None:
        """There is a connection from now on."""
        self._connection = connection
        self._limits.connected(up.packet_limit)
        self._ended_by.connected(self._clock())
        self._echo.connected(up.echoes)

    def lost(self) -> SeqRange | None:
        """The connection is gone: all that is not delivered is backlog. Returns which lines of a replay were lost."""
        self._connection = None
        unconfirmed, now_s = self._in_flight.messages, self._clock()
        cause = self._ended_by.lost(unconfirmed, self._in_flight.waited_s(now_s), now_s)
        if cause is not None:
            self._hold(cause, self._limits.ends_connection(cause, now_s))
        lost = (*unconfirmed, *self._waiting)
        for message in lost:
            if message.is_record:
                self._held.add_lost(message.seq, message.topic)
        replayed = [message.seq for message in lost if message.replayed]
        self._in_flight.connection_lost()
        self._echo.lost()
        self._waiting.clear()
        return SeqRange(min(replayed), max(replayed)) if replayed else None

    def confirmed(self, mid: int) -> None:
        """The broker has a message."""
        message, is_whole = self._in_flight.confirm(mid)
        if message is not None:
            self._limits.confirmed(message)
            self._ended_by.answered(message, self._clock())
            if message.is_record:
                self._held.release(message.seq, message.topic)
            if self._refused.pop(message.topic, None) is not None:
                self._in_flight.start_over()  # what was refused before goes, too
            if is_whole and self._echo.confirmed(message.seq, self._clock()):
                self._spool.mark_delivered(message.seq)
        self.pump()

    def refused(self, mid: int, reason: str) -> None:
        """The broker did not take a message; what it carries stays in the spool."""
        message = self._in_flight.refuse(mid)
        if message is not None:
            self._ended_by.answered(message, self._clock())
            if message.is_record and "too large" not in reason:
                self._refused[message.topic] = reason
            self._hold(message, f"the broker refuses it ({reason}): check its access list for this client")
        self.pump()

    def came_back(self, seq: int) -> None:
        """The broker passed on a verdict's line."""
        if self._echo.came_back(seq, self._in_flight.is_out(seq)):
            self._spool.mark_delivered(seq)
        if self._is_silent:
            log.info("verdicts come back again")
            self._let_all_go()

    def acknowledged(self, upto: int) -> None:
        """A consumer has every verdict up to a seq: nobody waits for these, and the broker passes verdicts on."""
        self._held.forget(upto)
        is_blind = self._echo.acknowledged(upto, self._clock())
        if self._is_silent and upto >= self._silent_seq:
            self._echo.stop_waiting()
            is_blind = True
        if is_blind:
            log.warning(
                "verdicts reach a consumer and do not come back to this station, which therefore does not wait for "
                "them: let the broker's access list read %s, too",
                self._topics.verdict_json,
            )
            self._let_all_go()

    def tick(self) -> None:
        """Look now and then whether verdicts come back, and try one again where they do not."""
        now_s = self._clock()
        overdue = self._echo.overdue(now_s)
        if overdue is not None and not self._is_silent:
            self._is_silent, self._silent_seq = True, overdue
            log.error(
                "verdict %d was confirmed by the broker and does not come back on %s: let its access list write and "
                "read this topic, and its size limit pass the line; one is tried again every %d s, all are kept",
                *(overdue, self._topics.verdict_json, TRY_AGAIN_S),
            )
        if self._limits.let_barred_go(now_s):
            self._in_flight.start_over()
        is_in_trouble = self._is_silent or self._refused or self._held
        if is_in_trouble and self._connection is not None and now_s >= self._try_again_s:
            self._try_again_s = now_s + TRY_AGAIN_S
            self._try_one_again()

    def send(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """Hand a message over at QoS 1, if there is a connection."""
        if self._connection is not None:
            self._hand_over(self._connection, Message(topic, payload, retain=retain))

    def send_verdict(self, verdict: Verdict, line: Callable[[], bytes] | None = None) -> None:
        """Send its three records. line: makes the JSON line of one that was committed just now, when the others are
        handed over."""
        self._send(verdict, (self._topics.verdict, self._topics.verdict_bin, self._topics.verdict_json), line)

    def send_missing(self, verdict: Verdict) -> None:
        """Send those of its records that the broker does not have."""
        topics = (self._topics.verdict, self._topics.verdict_bin, self._topics.verdict_json)
        held = self._held.topics(verdict.seq)
        self._send(verdict, tuple(topic for topic in topics if not held or topic in held))

    def send_replay(self, verdict: Verdict) -> None:
        """Send a verdict's line on `/replay/data`."""
        payload = encode_json(replayed(verdict))
        message = Message(self._topics.replay_data, payload, verdict.seq, replayed=True)
        if (why := self._limits.why_not(message)) is not None:
            self._hold(message, why)
        else:
            self._waiting.append(message)
            self.pump()

    def forget_waiting(self) -> None:
        """Hand over nothing more of what was begun."""
        self._waiting.clear()

    def _send(self, verdict: Verdict, topics: tuple[str, ...], line: Callable[[], bytes] | None = None) -> None:
        encoders = {
            self._topics.verdict: encode_ascii,
            self._topics.verdict_bin: encode_binary,
            self._topics.verdict_json: encode_json if line is None else lambda verdict: line(),
        }
        self._in_flight.begin(verdict.seq, len(topics), is_live=line is not None)
        for topic in topics:
            message = Message(topic, encoders[topic](verdict), verdict.seq)
            if (why := self._limits.why_not(message)) is not None:
                self._in_flight.hold(verdict.seq)
                self._hold(message, why)
            else:
                self._waiting.append(message)
                self.pump()

    def pump(self) -> None:
        """Hand over what was begun: everything, or one message at a time."""
        now_s, has_more = self._clock(), self._waiting or self._in_flight.unconfirmed or self._in_flight.has_backlog
        self._ended_by.settle(now_s)
        if not has_more and not self._ended_by.wait_s(now_s):
            self._ended_by.clear()
        while self._waiting and self._connection is not None:
            if self._ended_by.is_careful and self.wait_s() > 0:
                return
            self._hand_over(self._connection, self._waiting.popleft())

    def wait_s(self) -> float:
        """How long nothing that was begun is handed over, unless something happens."""
        if not self._waiting or self._in_flight.unconfirmed:
            return math.inf
        return self._ended_by.wait_s(self._clock())

    def _hand_over(self, connection: BrokerConnection, message: Message) -> None:
        mid = connection.publish(message.topic, message.payload, 1, message.retain)
        self._in_flight.add(mid, self._clock(), message)

    def _hold(self, message: Message, why: str) -> None:
        """Not sent, or not taken: it waits in the spool, if it is a record of a verdict."""
        if message.is_record:
            self._held.add(message.seq, message.topic)
        if self._throttle.is_due((message.topic, message.replayed)):
            what = f"verdict {message.seq}: its record" if message.seq else "a message"
            log.error(
                "%s on %s (%d bytes, packet %d) is held back: %s",
                *(what, message.topic, len(message.payload), packet_bytes(message.topic, message.payload), why),
            )

    def _try_one_again(self) -> None:
        first, last = self._in_flight.everything
        waiting = self._spool.undelivered(first, last, 1)
        # What was delivered before, and refused when it was repeated, or was dropped by age: nobody waits for these.
        self._held.forget(waiting[0].seq - 1 if waiting else last)
        if not waiting:  # a consumer has them
            self._is_silent = False
            self._refused.clear()
        elif (self._is_silent or self._refused) and not self._in_flight.is_out(waiting[0].seq):
            self._echo.forget()
            self.send_verdict(replayed(waiting[0]))

    def _let_all_go(self) -> None:
        self._is_silent = False
        self._echo.forget()
        self._in_flight.start_over()


def replayed(verdict: Verdict) -> Verdict:
    """The same verdict, marked as not being sent in the moment it was given."""
    return replace(verdict, flags=verdict.flags | Flag.REPLAY)
