"""Where messages for the station arrive: replies to triggers at once, and passes everything else on.

Runs in the network thread: nothing here raises, or blocks for longer than it takes to write a trigger to the disk.
Why triggers are refused is logged when it begins and every minute, and at DEBUG each time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from edge_runtime.daemon.events import EventQueue
from edge_runtime.daemon.requests import binding_request
from edge_runtime.daemon.trigger_gate import TriggerGate
from edge_runtime.daemon.verdict_issuer import VerdictIssuer
from edge_runtime.errors import RecordError
from edge_runtime.monitoring.counters import Counters
from edge_runtime.monitoring.log import LogThrottle
from edge_runtime.mqtt.publisher import Publisher
from edge_runtime.wire.commands import (
    Reply,
    command_from_payload,
    seq_from_payload,
    seq_range_from_payload,
    trigger_from_payload,
    trigger_id_of,
)
from edge_runtime.wire.topics import Topics

log = logging.getLogger(__name__)


class MessageRouter:
    """Reads a message by its topic and hands it to whom it concerns."""

    def __init__(
        self,
        topics: Topics,
        trigger_gate: TriggerGate,
        events: EventQueue,
        publisher: Publisher,
        counters: Counters,
        deadline_ms: int,
        issuer: VerdictIssuer,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._topics, self._trigger_gate, self._events = topics, trigger_gate, events
        self._publisher, self._counters, self._clock_ns = publisher, counters, clock_ns
        self._deadline_ms, self._issuer = deadline_ms, issuer
        self._throttle = LogThrottle(lambda: clock_ns() / 1e9)

    def receive(self, topic: str, payload: bytes, retained: bool) -> None:
        """Handle one message."""
        if retained:
            # A trigger or command that the broker kept was meant for another time, and another part.
            log.warning("%s: a retained message is ignored; send it without the retain flag", topic)
            return
        try:
            if topic == self._topics.trigger:
                self._take_trigger(payload)
            elif topic == self._topics.command:
                self._events.put(command_from_payload(payload))
            elif topic == self._topics.verdict_ack:
                self._publisher.acknowledged(seq_from_payload(payload))
            elif topic == self._topics.replay:
                self._publisher.replay(seq_range_from_payload(payload))
        except RecordError as error:
            log.warning("%s: %s", topic, error)
            if topic == self._topics.command:
                word = payload[:20].decode("ascii", "replace").encode("ascii", "replace").replace(b";", b"_")
                self._publisher.reply(self._topics.command_ack, word + b";REFUSED;unknown command")
        except Exception as error:  # a bug; it would end the network thread, and the station would go on unheard
            self._events.put(error)

    def _take_trigger(self, payload: bytes) -> None:
        arrived_ns = self._clock_ns()
        try:
            trigger = trigger_from_payload(payload)
        except RecordError as error:
            trigger_id = trigger_id_of(payload)
            self._reply(trigger_id, Reply.BADREQUEST)
            self._log_refusal(trigger_id, Reply.BADREQUEST, str(error), "malformed")
            return
        answer = self._trigger_gate.offer(trigger)
        if answer.reply is Reply.ACCEPTED:
            self._issuer.accept(trigger)
        self._reply(trigger.trigger_id, answer.reply)  # first, so that ACCEPTED comes before the verdict
        if answer.reply is Reply.ACCEPTED:
            request = binding_request(trigger, arrived_ns, self._deadline_ms)
            self._issuer.track(request)
            self._events.put(request)
        elif answer.verdict is not None:
            self._publisher.publish_again(answer.verdict)
        elif answer.why:
            self._log_refusal(trigger.trigger_id, answer.reply, answer.why, answer.why)

    def _reply(self, trigger_id: int, reply: Reply) -> None:
        if reply is not Reply.ACCEPTED:
            self._counters.count_refused(reply)
        self._publisher.reply(self._topics.trigger_ack, f"{trigger_id};{reply.value}".encode("ascii"))

    def _log_refusal(self, trigger_id: int, reply: Reply, why: str, kind: str) -> None:
        level = logging.WARNING if self._throttle.is_due((reply, kind)) else logging.DEBUG
        log.log(level, "trigger %d is answered %s: %s", trigger_id, reply.value, why)
