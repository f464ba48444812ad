"""Tells the broker: verdicts, states, counters, heartbeat, replies. One thread, which alone decides what goes out when.

Rules:
- A verdict is handed over the moment it is committed, if the broker is there and answers. What cannot be sent within
  MOMENT_S is backlog: it is read from the spool again, in order, a few at a time, only while nothing live is waiting,
  and carries the replay flag. So does what was handed over and not confirmed when the connection was lost.
- A broker that does not confirm within MOMENT_S hangs: it gets nothing more until it does, and a new connection after
  GIVE_UP_S. At most LIVE_WINDOW live verdicts can thereby be on their way unconfirmed: these cannot be taken back.
- A verdict counts as delivered when the broker confirmed all three of its records.
- Nothing is thrown away here: what is not delivered stays in the spool, also across a restart.

Other threads call the public methods; each puts one event into the queue that the publisher's thread works off.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from edge_runtime.link import Confirmed, Down, Link, LinkEvent, Refused, Up
from edge_runtime.messages import SeqRange
from edge_runtime.outbox import Outbox
from edge_runtime.records import Flag, Verdict
from edge_runtime.spool import Spool
from edge_runtime.states import StateReport
from edge_runtime.tally import Counters, Tally
from edge_runtime.topics import Topics
from edge_runtime.verdict_ascii import encode_ascii
from edge_runtime.verdict_binary import encode_binary
from edge_runtime.verdict_json import encode_json

log = logging.getLogger(__name__)

MOMENT_S = 1.0  # a verdict without the replay flag is not older than this when it is handed over
GIVE_UP_S = 5.0
LIVE_WINDOW = 6  # live verdicts handed over and not confirmed; the next ones wait here for their moment
BACKLOG_WINDOW = 18  # backlog waits while this many are in flight, so that a live verdict is never far behind
CHUNK = 6  # verdicts of the backlog at a time
CLOSE_S = 1.0


@dataclass(frozen=True)
class _Live:
    verdict: Verdict
    taken_ns: int
    given_s: float


@dataclass(frozen=True)
class _Again:
    verdict: Verdict


@dataclass(frozen=True)
class _Say:
    topic: str
    payload: bytes


@dataclass(frozen=True)
class _Acknowledged:
    seq: int
    keep_triggered_ms: int


@dataclass(frozen=True)
class _Drain:
    done: threading.Event


@dataclass(frozen=True)
class _Close:
    report: StateReport


_Event = LinkEvent | _Live | _Again | _Say | _Acknowledged | _Drain | _Close | SeqRange | StateReport


class Publisher:
    """See the module. on_failure is told what ended the thread, if anything but `close` did."""

    def __init__(
        self,
        topics: Topics,
        spool: Spool,
        tally: Tally,
        heartbeat_s: float,
        on_failure: Callable[[Exception], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topics, self._spool, self._tally = topics, spool, tally
        self._heartbeat_s, self._on_failure, self._clock = heartbeat_s, on_failure, clock
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._up = self._outage_told = False
        self._outbox = Outbox(spool.next_seq - 1)
        self._fresh: deque[_Live] = deque()  # live verdicts that wait for room in the window
        self._replays: deque[SeqRange] = deque()
        self._report: StateReport | None = None
        self._counters: Counters | None = None
        self._beats, self._next_beat = 0, clock()
        self._drains: list[threading.Event] = []
        self._refusal = ""  # the last one told
        self._thread: threading.Thread | None = None

    # For other threads.

    def start(self, link: Link) -> None:
        """Begin to send over this link."""
        self._thread = threading.Thread(target=self._run, args=(link,), name="publisher", daemon=True)
        self._thread.start()

    def close(self, report: StateReport) -> None:
        """Send what is in hand, then this last state, wait a moment for the confirmations, and end the thread."""
        if self._thread is not None:
            self._events.put(_Close(report))
            self._thread.join()

    def publish(self, verdict: Verdict, taken_ns: int) -> None:
        """Send a verdict that was committed just now. taken_ns: when its frame was in hand (monotonic)."""
        self._events.put(_Live(verdict, taken_ns, self._clock()))

    def publish_again(self, verdict: Verdict) -> None:
        """Send a verdict once more: its trigger came again."""
        self._events.put(_Again(verdict))

    def say(self, topic: str, payload: bytes) -> None:
        """Send a reply."""
        self._events.put(_Say(topic, payload))

    def show(self, report: StateReport) -> None:
        """The state to show from now on."""
        self._events.put(report)

    def acknowledged(self, seq: int, keep_triggered_ms: int) -> None:
        """A consumer has stored everything up to a seq. See Spool.acknowledge."""
        self._events.put(_Acknowledged(seq, keep_triggered_ms))

    def replay(self, wanted: SeqRange) -> None:
        """A consumer wants verdicts again."""
        self._events.put(wanted)

    def drained(self) -> threading.Event:
        """An event that is set when everything published until now is delivered."""
        done = threading.Event()
        self._events.put(_Drain(done))
        return done

    def on_link_event(self, event: LinkEvent) -> None:
        """What the link reports."""
        self._events.put(event)

    # For the publisher's own thread.

    def _run(self, link: Link) -> None:
        try:
            while True:
                event = self._next_event()
                while event is not None:
                    if isinstance(event, _Close):
                        self._say_goodbye(link, event.report)
                        return
                    self._handle(link, event)
                    event = self._next_event(wait=False)
                self._send_fresh(link)  # again, for their moment may have passed
                self._send_backlog(link)
                self._send_replay(link)
                self._beat(link)
                self._tell_drained()
        except Exception as error:  # whatever it is, the serving thread must not go on unheard
            self._on_failure(error)

    def _next_event(self, wait: bool = True) -> _Event | None:
        idle_s = max(0.0, self._next_beat - self._clock())
        work = self._may_send_backlog() and (self._outbox.has_backlog or bool(self._replays))
        try:
            return self._events.get(block=wait and not work, timeout=idle_s)
        except queue.Empty:
            return None

    def _handle(self, link: Link, event: _Event) -> None:
        match event:
            case _Live():
                self._fresh.append(event)
                self._send_fresh(link)
            case Confirmed(mid):
                if seq := self._outbox.confirm(mid):
                    self._spool.mark_delivered(seq)
                self._send_fresh(link)
            case Refused(mid, reason):  # what it carries stays in the spool
                self._outbox.refuse(mid)
                self._report_refusal(reason)
            case _Say(topic, payload):
                self._send(link, topic, payload)
            case _Again(verdict):
                if self._up:
                    self._send_verdict(link, verdict)
            case StateReport():
                self._report = event
                self._send_state(link)
            case Up():
                log.info("the broker is there; %d verdicts wait for it", self._spool.waiting)
                self._up, self._outage_told = True, False
                self._send_state(link)
                self._counters = None  # send them in any case
            case Down(reason):
                level = logging.DEBUG if self._outage_told else logging.WARNING
                log.log(level, "broker: %s; it is tried again, and verdicts are kept", reason)
                self._up, self._outage_told = False, True
                self._send_fresh(link)
                self._outbox.lose()
            case _Acknowledged(seq, keep_triggered_ms):
                self._acknowledge(seq, keep_triggered_ms)
            case SeqRange():
                self._replays.append(event)
            case _Drain(done):
                self._drains.append(done)

    def _send_fresh(self, link: Link) -> None:
        """Send the live verdicts that have room, and turn those into backlog that are not fresh any more."""
        while self._fresh:
            live, now_s = self._fresh[0], self._clock()
            if not self._up or now_s - live.given_s > MOMENT_S:
                self._outbox.postpone(live.verdict.seq)
            elif self._outbox.live >= LIVE_WINDOW or self._hangs(now_s):
                return
            else:
                self._send_live(link, live)
            self._fresh.popleft()

    def _hangs(self, now_s: float) -> bool:
        return self._outbox.waited_s(now_s) > MOMENT_S

    def _send_live(self, link: Link, live: _Live) -> None:
        verdict, began_ns = live.verdict, time.monotonic_ns()
        self._outbox.add_live(verdict.seq)
        self._send_verdict(link, verdict)
        if log.isEnabledFor(logging.DEBUG):
            t, now_ns = verdict.decision.timings, time.monotonic_ns()
            log.debug(
                "verdict %d %s: capture=%d prepare=%d infer=%d decide=%d commit=%d publish=%d own=%d us",
                *(verdict.seq, verdict.decision.outcome.name),
                *(t.capture_us, t.prepare_us, t.infer_us, t.decide_us, t.commit_us, (now_ns - began_ns) // 1000),
                (now_ns - live.taken_ns) // 1000 - t.infer_us,
            )

    def _send_verdict(self, link: Link, verdict: Verdict) -> None:
        for topic, payload in (
            (self._topics.verdict, encode_ascii(verdict)),
            (self._topics.verdict_bin, encode_binary(verdict)),
            (self._topics.verdict_json, encode_json(verdict)),
        ):
            self._send(link, topic, payload, verdict.seq)

    def _send(self, link: Link, topic: str, payload: bytes, seq: int = 0, retain: bool = False) -> None:
        if self._up:
            self._outbox.add(link.publish(topic, payload, 1, retain), self._clock(), seq)

    def _send_state(self, link: Link) -> None:
        if self._up and self._report is not None:
            self._send(link, self._topics.state, self._report.payload(), retain=True)

    def _report_refusal(self, reason: str) -> None:
        if reason != self._refusal:
            self._refusal = reason
            log.error("the broker refuses messages (%s): check its access list for this client", reason)

    def _may_send_backlog(self) -> bool:
        return (
            self._up and not self._fresh and self._outbox.in_flight < BACKLOG_WINDOW and not self._hangs(self._clock())
        )

    def _send_backlog(self, link: Link) -> None:
        if not (self._may_send_backlog() and self._outbox.has_backlog):
            return
        first, last = self._outbox.backlog
        verdicts = self._spool.undelivered(first, last, CHUNK)
        for verdict in verdicts:
            if not self._outbox.is_out(verdict.seq):
                # Flagged, for it is old: a PLC must not take it for the part that waits now.
                self._send_verdict(link, replayed(verdict))
        self._outbox.backlog_done_to(verdicts[-1].seq if len(verdicts) == CHUNK else last)

    def _send_replay(self, link: Link) -> None:
        if not (self._may_send_backlog() and self._replays):
            return
        wanted = self._replays.popleft()
        verdicts = self._spool.between(wanted.first, wanted.last, CHUNK)
        for verdict in verdicts:
            self._send(link, self._topics.replay_data, encode_json(replayed(verdict)))
        if len(verdicts) == CHUNK and verdicts[-1].seq < wanted.last:
            self._replays.appendleft(SeqRange(verdicts[-1].seq + 1, wanted.last))

    def _acknowledge(self, seq: int, keep_triggered_ms: int) -> None:
        try:
            gone = self._spool.acknowledge(seq, keep_triggered_ms)
        except ValueError as error:
            log.warning("acknowledgement refused: %s", error)
        else:
            log.debug("acknowledged up to %d: %d verdicts left the spool", seq, gone)

    def _beat(self, link: Link) -> None:
        now = self._clock()
        if now < self._next_beat:
            return
        self._next_beat = max(self._next_beat, now - self._heartbeat_s) + self._heartbeat_s
        self._spool.flush()
        if self._up and self._outbox.waited_s(now) > GIVE_UP_S:
            link.drop()
        elif self._up:
            self._beats += 1
            link.publish(self._topics.heartbeat, str(self._beats).encode("ascii"), 0, False)
            self._send_counters(link)

    def _send_counters(self, link: Link) -> None:
        counters = self._tally.sample(self._spool.waiting)
        if counters != self._counters:
            self._counters = counters
            self._send(link, self._topics.counters, counters.payload(), retain=True)

    def _tell_drained(self) -> None:
        if self._drains and self._outbox.is_empty and not self._fresh:
            for done in self._drains:
                done.set()
            self._drains.clear()

    def _say_goodbye(self, link: Link, report: StateReport) -> None:
        self._report = report
        self._fresh.clear()  # they are in the spool, and backlog of the next start
        if self._up:
            self._send_counters(link)
            self._send_state(link)
        deadline = self._clock() + CLOSE_S
        while self._up and self._outbox.in_flight and (left := deadline - self._clock()) > 0:
            try:
                event = self._events.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(event, Confirmed | Down):
                self._handle(link, event)
        self._spool.flush()


def replayed(verdict: Verdict) -> Verdict:
    """The same verdict, marked as not being sent in the moment it was given."""
    return replace(verdict, flags=verdict.flags | Flag.REPLAY)
