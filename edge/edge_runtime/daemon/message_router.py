"""Where messages for the station arrive: replies to triggers at once, and passes everything else on.

Runs in the network thread: nothing here raises, or blocks for longer than it takes to write a trigger to the disk.
Why messages are refused is logged when it begins and every minute, and at DEBUG each time. Whatever comes, however
often, makes a bounded number of answers, log lines and waiting commands.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable

from edge_runtime.daemon.events import EventQueue
from edge_runtime.daemon.requests import binding_request
from edge_runtime.daemon.trigger_gate import TriggerGate
from edge_runtime.daemon.verdict_issuer import VerdictIssuer
from edge_runtime.errors import RecordError
from edge_runtime.monitoring.counters import Counters
from edge_runtime.monitoring.log import LogThrottle
from edge_runtime.monitoring.rate_limit import RateLimit
from edge_runtime.mqtt.publisher import Publisher
from edge_runtime.wire.commands import (
    Reply,
    command_from_payload,
    seq_from_payload,
    seq_of_line,
    seq_range_from_payload,
    trigger_from_payload,
    trigger_id_of,
    why_no_trigger,
)
from edge_runtime.wire.topics import Topics

log = logging.getLogger(__name__)

REFUSALS_PER_S = 200  # answers to what gets no verdict; a PLC that sends more rejects by its timer
COMMANDS_PER_S = 5
REPLY_LENGTH = 80
_NUMBERS = re.compile(r"\d+")


class MessageRouter:
    """Reads a message by its topic and hands it to whom it concerns. listens_to: the topics that are heeded."""

    def __init__(
        self,
        topics: Topics,
        trigger_gate: TriggerGate,
        events: EventQueue,
        publisher: Publisher,
        counters: Counters,
        deadline_ms: int,
        issuer: VerdictIssuer,
        listens_to: Iterable[str],
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._topics, self._trigger_gate, self._events = topics, trigger_gate, events
        self._publisher, self._counters, self._clock_ns = publisher, counters, clock_ns
        self._deadline_ms, self._issuer = deadline_ms, issuer

        def clock() -> float:
            return clock_ns() / 1e9

        self._throttle = LogThrottle(clock)
        self._refusals = RateLimit(REFUSALS_PER_S, 2 * REFUSALS_PER_S, clock)
        self._commands = RateLimit(COMMANDS_PER_S, 4 * COMMANDS_PER_S, clock)
        self._listens_to = frozenset(listens_to)

    def receive(self, topic: str, payload: bytes, retained: bool) -> None:
        """Handle one message."""
        if topic == self._topics.verdict_json:  # the station's own
            self._publisher.came_back(seq_of_line(payload))
            return
        if topic not in self._listens_to:
            return
        if retained:
            # A trigger or command that the broker kept was meant for another time, and another part.
            self._warn(topic, "retained", "a retained message is ignored; send it without the retain flag")
            return
        try:
            if topic == self._topics.trigger:
                self._take_trigger(payload)
            elif topic == self._topics.command:
                self._take_command(payload)
            elif topic == self._topics.verdict_ack:
                self._publisher.acknowledged(seq_from_payload(payload))
            elif topic == self._topics.replay:
                self._publisher.replay(seq_range_from_payload(payload))
        except RecordError as error:
            self._warn(topic, "malformed", str(error))
        except Exception as error:  # a bug; it would end the network thread, and the station would go on unheard
            self._events.put(error)

    def _take_command(self, payload: bytes) -> None:
        try:
            command = command_from_payload(payload)
        except RecordError:
            word = payload[:20].decode("ascii", "replace").encode("ascii", "replace").replace(b";", b"_")
            self._refuse_command(word, b"unknown command")
            raise
        if not self._commands.allows() or not self._events.offer(command):
            self._refuse_command(command.value.encode("ascii"), b"too many commands")
            self._warn(self._topics.command, "many", f"{command.value} is left out: too many commands come")

    def _refuse_command(self, word: bytes, why: bytes) -> None:
        if self._refusals.allows():
            self._publisher.reply(self._topics.command_ack, word + b";REFUSED;" + why)

    def _take_trigger(self, payload: bytes) -> None:
        arrived_ns = self._clock_ns()
        try:
            trigger = trigger_from_payload(payload)
        except RecordError as error:
            trigger_id, why = trigger_id_of(payload), why_no_trigger(payload)
            self._refuse(trigger_id, Reply.BADREQUEST, why)
            self._log_refusal(trigger_id, Reply.BADREQUEST, str(error), "malformed")
            return
        answer = self._trigger_gate.offer(trigger)
        if answer.reply is Reply.ACCEPTED:
            self._issuer.accept(trigger)
            # First, so that ACCEPTED comes before the verdict.
            self._reply(trigger.trigger_id, answer.reply)
            request = binding_request(trigger, arrived_ns, self._deadline_ms)
            self._issuer.track(request)
            self._events.put(request)
        elif self._refuse(trigger.trigger_id, answer.reply, answer.why) and answer.verdict is not None:
            self._publisher.publish_again(answer.verdict)
        if answer.why:
            self._log_refusal(trigger.trigger_id, answer.reply, answer.why, _NUMBERS.sub("", answer.why))

    def _refuse(self, trigger_id: int, reply: Reply, why: str | None) -> bool:
        """Count a trigger that gets no verdict of its own, and answer it unless too many are. Returns whether it was
        answered: a flood of triggers must not become one of answers."""
        self._counters.count_refused(reply)
        answered = self._refusals.allows()
        if answered:
            self._reply(trigger_id, reply, why if reply is Reply.BADREQUEST else None)
        else:
            self._warn(
                self._topics.trigger,
                "many",
                f"more than {REFUSALS_PER_S} triggers a second are refused: some get no answer",
            )
        return answered

    def _reply(self, trigger_id: int, reply: Reply, why: str | None = None) -> None:
        text = f"{trigger_id};{reply.value}" + (f";{why}" if why else "")
        self._publisher.reply(self._topics.trigger_ack, text.encode("ascii", "replace")[:REPLY_LENGTH])

    def _log_refusal(self, trigger_id: int, reply: Reply, why: str, kind: str) -> None:
        level = logging.WARNING if self._throttle.is_due((reply, kind)) else logging.DEBUG
        log.log(level, "trigger %d is answered %s: %s", trigger_id, reply.value, why)

    def _warn(self, topic: str, kind: str, text: str) -> None:
        level = logging.WARNING if self._throttle.is_due((topic, kind)) else logging.DEBUG
        log.log(level, "%s: %s", topic, text)
