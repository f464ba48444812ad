"""Sends verdicts, states, counters, heartbeat and replies to the broker. One thread alone decides what goes out when.

Other threads call the public methods; each puts one event into the queue that the publisher's thread works off.
What is sent when is `Delivery`'s to know (delivery.py). With each heartbeat the thread also tidies the spool.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_runtime.monitoring.counters import Counters, CounterValues
from edge_runtime.monitoring.log import LogThrottle
from edge_runtime.mqtt.connection import BrokerConnection, Confirmed, ConnectionEvent, Down, Refused, Up
from edge_runtime.mqtt.delivery import Delivery, Live
from edge_runtime.mqtt.held_back import DeliveryProblem
from edge_runtime.records import Verdict
from edge_runtime.storage.spool import Spool
from edge_runtime.wire.commands import SeqRange
from edge_runtime.wire.states import StateReport
from edge_runtime.wire.topics import Topics

log = logging.getLogger(__name__)

CLOSE_S = 1.0


@dataclass(frozen=True)
class _Again:
    verdict: Verdict


@dataclass(frozen=True)
class _Reply:
    topic: str
    payload: bytes


@dataclass(frozen=True)
class _Acknowledged:
    seq: int


@dataclass(frozen=True)
class _CameBack:
    seq: int


@dataclass(frozen=True)
class _Drain:
    done: threading.Event


@dataclass(frozen=True)
class _Close:
    report: StateReport


_Event = ConnectionEvent | Live | _Again | _Reply | _Acknowledged | _CameBack | _Drain | _Close | SeqRange | StateReport


class Publisher:
    """See the module. on_failure: called with what ended the thread, if anything but `close` did.

    keep_triggered_s: how long an acknowledged answer to a trigger stays in the spool, for the same trigger may come
    again. on_verdict: called with each new verdict, for statistics. on_live: see Delivery. broker: HOST:PORT, for the
    log.
    """

    def __init__(
        self,
        topics: Topics,
        spool: Spool,
        counters: Counters,
        heartbeat_s: float,
        on_failure: Callable[[Exception], None],
        keep_triggered_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        on_verdict: Callable[[Verdict], None] = lambda verdict: None,
        on_live: Callable[[int], None] = lambda publish_us: None,
        broker: str = "",
    ) -> None:
        self._topics, self._spool, self._counters = topics, spool, counters
        self._heartbeat_s, self._on_failure, self._clock = heartbeat_s, on_failure, clock
        self._on_beat: Callable[[], None] = lambda: None
        self._on_problem: Callable[[DeliveryProblem], None] = lambda problem: None
        self._on_verdict, self._keep_triggered_ms = on_verdict, round(keep_triggered_s * 1000)
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._delivery = Delivery(topics, spool, clock, on_live)
        self._up = self._outage_logged = False
        self._report: StateReport | None = None
        self._sent_counters: CounterValues | None = None
        self._broker = broker
        self._beats, self._next_beat = 0, clock()
        self._drains: list[threading.Event] = []
        self._acknowledged_seq = self._acknowledged_before = 0
        self._problem = DeliveryProblem()
        self._throttle = LogThrottle(clock)
        self._thread: threading.Thread | None = None

    @property
    def held_back(self) -> int:
        """How many records the broker did not take, since the start. Any thread may ask."""
        return self._delivery.sender.held_back

    # For other threads.

    def start(
        self,
        connection: BrokerConnection,
        on_beat: Callable[[], None] = lambda: None,
        on_problem: Callable[[DeliveryProblem], None] = lambda problem: None,
    ) -> None:
        """Begin to send over this connection. on_beat is called with each heartbeat, on_problem when what keeps
        verdicts from their consumers is another; both in the publisher's thread."""
        self._on_beat, self._on_problem = on_beat, on_problem
        self._thread = threading.Thread(target=self._run, args=(connection,), name="publisher", daemon=True)
        self._thread.start()

    def close(self, report: StateReport) -> None:
        """Send what is in hand, then this last state, wait a moment for the confirmations, and end the thread."""
        if self._thread is not None:
            self._events.put(_Close(report))
            self._thread.join()

    def publish(self, verdict: Verdict, taken_ns: int) -> None:
        """Send a verdict that was committed just now. taken_ns: when its frame was in hand (monotonic)."""
        self._events.put(Live(verdict, taken_ns, self._clock()))

    def publish_again(self, verdict: Verdict) -> None:
        """Send a verdict once more: its trigger came again."""
        self._events.put(_Again(verdict))

    def reply(self, topic: str, payload: bytes) -> None:
        """Send a reply."""
        self._events.put(_Reply(topic, payload))

    def publish_state(self, report: StateReport) -> None:
        """The state to show from now on."""
        self._events.put(report)

    def acknowledged(self, seq: int) -> None:
        """A consumer has stored everything up to a seq. See Spool.acknowledge."""
        self._events.put(_Acknowledged(seq))

    def came_back(self, seq: int) -> None:
        """The broker passed this verdict's JSON line on to the station itself."""
        self._events.put(_CameBack(seq))

    def replay(self, wanted: SeqRange) -> None:
        """A consumer wants verdicts again."""
        self._events.put(wanted)

    def drained(self) -> threading.Event:
        """An event that is set when everything published until now is delivered."""
        done = threading.Event()
        self._events.put(_Drain(done))
        return done

    def on_connection_event(self, event: ConnectionEvent) -> None:
        """What the connection reports."""
        self._events.put(event)

    # For the publisher's own thread.

    def _run(self, connection: BrokerConnection) -> None:
        try:
            while True:
                event = self._next_event()
                while event is not None:
                    if isinstance(event, _Close):
                        self._send_last_state(connection, event.report)
                        return
                    self._handle(connection, event)
                    event = self._next_event(wait=False)
                self._write_acknowledged()
                self._delivery.send_fresh()  # again, for their moment may have passed
                self._delivery.send_older()
                self._beat(connection)
                self._report_drained()
        except Exception as error:  # whatever it is, the serving thread must not go on unheard
            self._on_failure(error)

    def _next_event(self, wait: bool = True) -> _Event | None:
        idle_s = max(0.0, min(self._next_beat - self._clock(), self._delivery.idle_s()))
        try:
            return self._events.get(block=wait and idle_s > 0, timeout=idle_s)
        except queue.Empty:
            return None

    def _handle(self, connection: BrokerConnection, event: _Event) -> None:
        match event:
            case Live():
                self._delivery.add(event)
                self._on_verdict(event.verdict)
            case Confirmed(mid):
                self._delivery.confirmed(mid)
            case Refused(mid, reason):
                self._delivery.sender.refused(mid, reason)
            case _Reply(topic, payload):
                self._delivery.sender.send(topic, payload)
            case _Again(verdict):
                self._delivery.repeat(verdict)
            case StateReport():
                self._report = event
                self._send_state()
            case Up() as up:
                log.info("broker %s is there; %d verdicts wait for it", self._broker, self._spool.waiting)
                self._up, self._outage_logged = True, False
                self._delivery.connected(connection, up)
                self._send_state()
                self._sent_counters = None  # send them in any case
            case Down(reason):
                level = logging.DEBUG if self._outage_logged else logging.WARNING
                log.log(level, "broker %s: %s; it is tried again, and verdicts are kept", self._broker, reason)
                self._up, self._outage_logged = False, True
                self._delivery.lost()
            case _Acknowledged(seq):
                self._note_acknowledged(seq)
            case _CameBack(seq):
                self._delivery.sender.came_back(seq)
            case SeqRange():
                self._delivery.replay(event)
            case _Drain(done):
                self._drains.append(done)

    def _send_state(self) -> None:
        if self._report is not None:
            self._delivery.sender.send(self._topics.state, self._report.payload(), retain=True)

    def _note_acknowledged(self, seq: int) -> None:
        if seq < self._spool.next_seq:
            self._acknowledged_seq = max(self._acknowledged_seq, seq)
        elif self._throttle.is_due("acknowledgement"):
            last = self._spool.next_seq - 1
            log.warning("acknowledgement refused: seq %d has not been given out yet: the last one is %d", seq, last)

    def _write_acknowledged(self) -> None:
        """Once for all that came meanwhile."""
        if self._acknowledged_seq > self._acknowledged_before:
            self._acknowledged_before = self._acknowledged_seq
            self._spool.acknowledge(self._acknowledged_seq, self._keep_triggered_ms)
            self._delivery.sender.acknowledged(self._acknowledged_seq)

    def _beat(self, connection: BrokerConnection) -> None:
        now = self._clock()
        if now < self._next_beat:
            return
        self._next_beat = max(self._next_beat, now - self._heartbeat_s) + self._heartbeat_s
        self._tidy()
        self._on_beat()
        self._delivery.sender.tick()
        self._report_problem()
        if self._up and self._delivery.is_given_up:
            connection.drop()
        elif self._up:
            self._beats += 1
            connection.publish(self._topics.heartbeat, str(self._beats).encode("ascii"), 0, False)
            self._send_counters()

    def _report_problem(self) -> None:
        problem = self._delivery.sender.problem
        if problem != self._problem:
            self._problem = problem
            self._on_problem(problem)

    def _tidy(self) -> None:
        if dropped := self._spool.tidy(self._keep_triggered_ms):
            level = logging.ERROR if dropped.unconfirmed else logging.WARNING
            log.log(
                level,
                "retention: verdicts left that no consumer had acknowledged: %d by age; by size, %d that the broker "
                "had and %d that perhaps nobody has",
                *(dropped.by_age, dropped.confirmed, dropped.unconfirmed),
            )

    def _send_counters(self) -> None:
        counters = self._counters.sample(self._spool.waiting)
        if counters != self._sent_counters:
            self._sent_counters = counters
            self._delivery.sender.send(self._topics.counters, counters.payload(), retain=True)

    def _report_drained(self) -> None:
        if self._drains and self._delivery.is_done:
            for done in self._drains:
                done.set()
            self._drains.clear()

    def _send_last_state(self, connection: BrokerConnection, report: StateReport) -> None:
        self._report = report
        self._delivery.forget_fresh()
        if self._up:
            self._send_counters()
            self._send_state()
        deadline = self._clock() + CLOSE_S
        while self._up and self._delivery.expects_more and (left := deadline - self._clock()) > 0:
            try:
                event = self._events.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(event, Confirmed | Refused | Down | _CameBack):
                self._handle(connection, event)
        self._spool.flush()
