"""Which verdict is handed over when: live ones in their moment, then the backlog, then what a consumer wants again.

Rules:
- A verdict is handed over the moment it is committed, if the broker is there and answers. What cannot be sent within
  MOMENT_S is backlog: it is read from the spool again, in order, a few at a time, only while nothing live is waiting,
  and carries the replay flag. So does what was handed over and not confirmed when the connection was lost.
- A broker that does not confirm within MOMENT_S hangs: it gets nothing more until it does, and a new connection after
  GIVE_UP_S. At most LIVE_WINDOW live verdicts can thereby be on their way unconfirmed: these cannot be taken back.
- A verdict counts as delivered when the broker confirmed all three of its records and, where nothing else shows that
  it passes them on, one came back (own_echo.py).
- A record that the broker does not take is held back, and the others go (broker_limits.py).
- Nothing is thrown away here: what is not delivered stays in the spool, also across a restart.

Only the publisher's thread calls this.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from edge_runtime.monitoring.log import LogThrottle
from edge_runtime.mqtt.connection import BrokerConnection, Up
from edge_runtime.mqtt.in_flight import InFlight
from edge_runtime.mqtt.record_sender import RecordSender, replayed
from edge_runtime.mqtt.replays import Replays
from edge_runtime.records import ErrorCode, Verdict
from edge_runtime.storage.spool import Spool
from edge_runtime.wire.commands import SeqRange
from edge_runtime.wire.topics import Topics
from edge_runtime.wire.verdict_json import encode_json

log = logging.getLogger(__name__)

MOMENT_S = 1.0  # a verdict without the replay flag is not older than this when it is handed over
GIVE_UP_S = 5.0
BEHIND_S = 60.0  # given up even though other messages come: its confirmations do not
LIVE_WINDOW = 6  # live verdicts handed over and not confirmed; the next ones wait here for their moment
BACKLOG_WINDOW = 18  # backlog waits while this many are in flight, so that a live verdict is never far behind
CHUNK = 6  # verdicts of the backlog at a time
READ_AHEAD = 24  # verdicts of the backlog read from the disk at a time
OLDER_PER_S = 1000  # verdicts of the backlog and of replays: neither a PLC nor the station's processor is to be flooded


@dataclass(frozen=True)
class Live:
    """A verdict that was committed just now. taken_ns: when its frame was in hand (monotonic)."""

    verdict: Verdict
    taken_ns: int
    given_s: float


class Delivery:
    """See the module. on_live: called with the microseconds that handing over a live verdict took."""

    def __init__(
        self,
        topics: Topics,
        spool: Spool,
        clock: Callable[[], float],
        on_live: Callable[[int], None] = lambda publish_us: None,
    ) -> None:
        self._spool, self._clock, self._on_live = spool, clock, on_live
        self._connection: BrokerConnection | None = None
        self._in_flight = InFlight(spool.next_seq - 1)
        self.sender = RecordSender(topics, spool, self._in_flight, clock)
        self._fresh: deque[Live] = deque()  # live verdicts that wait for room in the window
        self._ahead: deque[Verdict] = deque()  # of the backlog, read and not yet sent
        self._replays = Replays()
        self._older_due_s = clock()
        self._throttle = LogThrottle(clock)
        self._logged = 0  # the seq of the last verdict that the log has

    @property
    def is_done(self) -> bool:
        """Whether every verdict was handed over and delivered."""
        return self._in_flight.is_empty and not self._fresh and not self.sender.has_open

    @property
    def expects_more(self) -> bool:
        """Whether the broker is still to confirm something, or to pass a verdict back."""
        return self._in_flight.unconfirmed > 0 or self.sender.expects_echo

    @property
    def is_given_up(self) -> bool:
        """Whether the broker has confirmed nothing for so long that a new connection is better.

        While it sends other messages it is there: its confirmations may be behind them.
        """
        waited_s, connection = self._in_flight.waited_s(self._clock()), self._connection
        if connection is None or waited_s <= GIVE_UP_S:
            return False
        return waited_s > BEHIND_S or self._clock() - connection.last_heard_s() > GIVE_UP_S

    def idle_s(self) -> float:
        """How long there will be nothing to send, unless something happens."""
        if self.sender.is_waiting:
            return self.sender.wait_s() if self._connection is not None else math.inf
        if self._may_send_older() and (self._in_flight.has_backlog or self._replays):
            return max(0.0, self._older_due_s - self._clock())
        return math.inf

    def connected(self, connection: BrokerConnection, up: Up) -> None:
        """There is a connection from now on."""
        self._connection = connection
        self.sender.connected(connection, up)

    def lost(self) -> None:
        """The connection is gone: all that is not delivered is backlog."""
        self._connection = None
        self.send_fresh()
        if (replay := self.sender.lost()) is not None:
            self._replays.put_back(replay)  # it goes on there
        self._ahead.clear()

    def confirmed(self, mid: int) -> None:
        """The broker has a message."""
        self.sender.confirmed(mid)
        self.send_fresh()

    def add(self, live: Live) -> None:
        """Send a verdict that was committed just now, or keep it for its moment."""
        self._fresh.append(live)
        self.send_fresh()
        self._log(live.verdict)

    def repeat(self, verdict: Verdict) -> None:
        """Send a verdict once more, for its trigger came again; not later, if it cannot be sent now."""
        if self._connection is not None:
            self.sender.send_verdict(verdict)

    def replay(self, wanted: SeqRange) -> None:
        """Send verdicts again on `/replay/data`, when there is nothing more urgent."""
        if not self._replays.add(wanted) and self._throttle.is_due("replays"):
            log.warning("a replay from %d to %d is left out: too many others wait", wanted.first, wanted.last)

    def forget_fresh(self) -> None:
        """Send nothing more: it is in the spool, and backlog of the next start."""
        self._fresh.clear()
        self.sender.forget_waiting()

    def send_fresh(self) -> None:
        """Send the live verdicts that have room, and turn those into backlog that are not fresh any more."""
        while self._fresh:
            live, now_s = self._fresh[0], self._clock()
            if self._connection is None or now_s - live.given_s > MOMENT_S:
                self._in_flight.postpone(live.verdict.seq)
            elif self._in_flight.live >= LIVE_WINDOW or self.sender.is_waiting or self._hangs(now_s):
                return
            else:
                self._send_live(live)
            self._fresh.popleft()

    def send_older(self) -> None:
        """Send a few of the backlog, or else of the replays, as far as there is room."""
        self.sender.pump()
        if self.sender.is_waiting or self.idle_s() > 0:
            return
        sent = self._send_backlog() if self._in_flight.has_backlog else self._send_replay()
        self._older_due_s = max(self._older_due_s + sent / OLDER_PER_S, self._clock() - CHUNK / OLDER_PER_S)

    def _send_live(self, live: Live) -> None:
        verdict, began_ns = live.verdict, time.monotonic_ns()
        self.sender.send_verdict(verdict, lambda: self._line_with_times(live))
        if log.isEnabledFor(logging.DEBUG):
            now_ns = time.monotonic_ns()
            own_us = (now_ns - live.taken_ns) // 1000 - verdict.decision.timings.infer_us
            self._log(verdict)
            log.debug("published %d: publish=%d own=%d us", verdict.seq, (now_ns - began_ns) // 1000, own_us)

    def _log(self, verdict: Verdict) -> None:
        """The verdict's line of `--verbose`, once: before that of its sending, and after the sending itself."""
        if verdict.seq <= self._logged or not log.isEnabledFor(logging.DEBUG):
            return
        self._logged, d, t = verdict.seq, verdict.decision, verdict.decision.timings
        log.debug(
            "verdict %d %s: score=%.4f capture=%d prepare=%d infer=%d decide=%d commit=%d latency=%d us",
            *(verdict.seq, d.outcome.name if d.error is ErrorCode.NONE else f"{d.outcome.name} {d.error:03d}", d.score),
            *(t.capture_us, t.prepare_us, t.infer_us, t.decide_us, t.commit_us, verdict.latency_us),
        )

    def _line_with_times(self, live: Live) -> bytes:
        """The JSON line, made when the others are handed over: it says how long that took."""
        publish_us = round((self._clock() - live.given_s) * 1e6)
        self._on_live(publish_us)
        decision = live.verdict.decision
        decision = replace(decision, timings=replace(decision.timings, publish_us=publish_us))
        return encode_json(replace(live.verdict, decision=decision))

    def _send_backlog(self) -> int:
        if not self._ahead:
            first, last = self._in_flight.backlog
            self._ahead.extend(self._spool.undelivered(first, last, READ_AHEAD))
            if not self._ahead:
                self._in_flight.backlog_done_to(last)
        count = min(CHUNK, len(self._ahead))
        for _ in range(count):
            verdict = self._ahead.popleft()
            if not self._in_flight.is_out(verdict.seq):
                # Flagged, for it is old: a PLC must not take it for the part that waits now.
                self.sender.send_missing(replayed(verdict))
            self._in_flight.backlog_done_to(verdict.seq)
        return count

    def _send_replay(self) -> int:
        wanted = self._replays.next_range()
        if wanted is None:
            return 0
        verdicts = self._spool.between(wanted.first, wanted.last, CHUNK)
        if len(verdicts) == CHUNK and verdicts[-1].seq < wanted.last:
            self._replays.put_back(SeqRange(verdicts[-1].seq + 1, wanted.last))
        for verdict in verdicts:
            self.sender.send_replay(verdict)
        return len(verdicts)

    def _may_send_older(self) -> bool:
        return (
            self._connection is not None
            and not self._fresh
            and not self.sender.is_waiting
            and self._in_flight.unconfirmed < BACKLOG_WINDOW
            and not self._hangs(self._clock())
        )

    def _hangs(self, now_s: float) -> bool:
        return self._in_flight.waited_s(now_s) > MOMENT_S
