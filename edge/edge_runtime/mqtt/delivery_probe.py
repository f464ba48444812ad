"""Whether the broker delivers what a station publishes: what `edge-daemon check` tries on the station's own topics.

Each topic gets one message, which is read back. None of them is taken for a verdict or an answer: the ASCII and JSON
records have seq 0, which no verdict has, and are ERROR with every flag that keeps a part; the binary record is zeros,
which the contract calls none; answers are to trigger 0, which no PLC sends. A station that runs under the same name is
left alone: it has another client id, and what it keeps retained is not touched while it is there. Where nobody had
retained anything before, nothing is retained afterwards.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

from edge_runtime.config.station import Station
from edge_runtime.mqtt.bounded_client import BoundedClient, lacks
from edge_runtime.mqtt.broker_limits import packet_bytes
from edge_runtime.mqtt.connect_errors import connect_reason
from edge_runtime.mqtt.paho_connection import connect, paho_client
from edge_runtime.wire.longest import longest_line, usual_line
from edge_runtime.wire.verdict_binary import BINARY_LENGTH

WITHIN_S = 3.0  # for one message to be confirmed and come back
RETAINED_S = 0.5  # for what is retained to come after a subscription
READ_BACK = "and read it, for otherwise nothing shows that it is delivered (MQTT 3.1.1)"


@dataclass(frozen=True)
class Undelivered:
    """A message that did not get through. is_rare: only records longer than usual are concerned."""

    topic: str
    why: str
    is_rare: bool = False


@dataclass(frozen=True)
class _Trial:
    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    is_rare: bool = False


class DeliveryProbe:
    """One client of its own. `undelivered` connects, tries everything and disconnects."""

    def __init__(self, station: Station) -> None:
        self._station, self._topics, self._is_5 = station, station.topics, station.mqtt.protocol == "5"
        self._client = self._new_client()
        self._ended = False
        self._limit: int | None = None  # of a packet, where the broker says it
        self._granted: list[int] | None = None
        self._confirmed: dict[int, str | None] = {}  # by message id; why it was refused
        self._came: list[tuple[str, bytes, bool]] = []
        self._lacks: str | None = None

    def undelivered(self) -> Iterator[Undelivered]:
        """What the broker does not deliver, or does not offer."""
        try:
            yield from self._try_all()
        except (OSError, ValueError) as error:
            yield Undelivered("", connect_reason(error))
        finally:
            self._close()

    def _try_all(self) -> Iterator[Undelivered]:
        yield from self._open()
        if self._ended or self._lacks:
            return
        self._turn(RETAINED_S)
        retained = {topic: payload for topic, payload, is_retained in self._came if is_retained}
        state = retained.get(self._topics.state, b"")
        is_running = bool(state) and not state.startswith(b"OFFLINE")
        failed: set[str] = set()
        for trial in self._trials():
            if trial.topic not in failed and (why := self._try(trial)) is not None:
                failed.add(trial.topic)
                yield Undelivered(trial.topic, why, trial.is_rare)
        if not is_running:
            yield from self._try_retained(retained)

    def _trials(self) -> Iterator[_Trial]:
        topics = self._topics
        yield _Trial(topics.verdict, b"1;0000000000;ERR;302;0000;0.0000;0.5000;0000;edge-check      ")
        yield _Trial(topics.verdict_bin, bytes(BINARY_LENGTH))
        for line, is_rare in ((usual_line(), False), (longest_line(), True)):
            harmless = re.sub(rb'"seq":\d+', b'"seq":         0', line, count=1)
            yield _Trial(topics.verdict_json, harmless, is_rare=is_rare)
            yield _Trial(topics.replay_data, harmless, is_rare=is_rare)
        yield _Trial(topics.trigger_ack, b"0;BADREQUEST;edge-daemon check")
        yield _Trial(topics.command_ack, b"CHECK;DONE;edge-daemon check")

    def _try_retained(self, before: dict[str, bytes]) -> Iterator[Undelivered]:
        """Publish what is retained once more, or something to be taken away again; and see whether it is kept."""
        for topic, made in (
            (self._topics.state, b"OFFLINE;000;connection lost"),
            (self._topics.counters, b"0;0;0;0;0;0;0"),
        ):
            trial = _Trial(topic, before.get(topic, made), retain=True)
            why = self._try(trial)
            if why is None:
                self._came.clear()
                self._client.subscribe(topic, 1)
                if not self._turn(WITHIN_S, lambda trial=trial: (trial.topic, trial.payload, True) in self._came):
                    why = "the broker does not keep it (retained messages): allow them in its configuration"
            if topic not in before:
                self._client.publish(topic, b"", 1, retain=True)
                self._turn(0.2)
            if why is not None:
                yield Undelivered(topic, why)
        if (why := self._try(_Trial(self._topics.heartbeat, b"0", qos=0))) is not None:
            yield Undelivered(self._topics.heartbeat, why)

    def _open(self) -> Iterator[Undelivered]:
        """Connect and subscribe."""
        self._close()
        client = self._client = self._new_client()  # paho would send again what ended the connection before
        needed = self._station.subscriptions
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_publish = self._published
        client.on_disconnect = self._disconnected
        client.on_message = lambda _client, _userdata, m: self._came.append((m.topic, bytes(m.payload), m.retain))
        connect(client, self._station.mqtt)
        self._ended, self._granted = False, None
        self._turn(WITHIN_S, lambda: self._granted is not None or self._lacks is not None)
        if self._lacks is not None:
            yield Undelivered("", self._lacks)
        elif self._granted is None:
            self._ended = True
            yield Undelivered("", "the broker ends the connection, or does not answer, when the station subscribes")
        granted_qos: list[int] = self._granted or []
        for topic, granted in zip(needed, granted_qos, strict=False):
            if granted >= 128:
                yield Undelivered(topic, "the broker refuses the subscription: check its access list")
            elif granted < 1:
                yield Undelivered(topic, "the broker grants QoS 0 only: allow QoS 1 in its configuration")

    def _new_client(self) -> BoundedClient:
        return paho_client(self._station.mqtt, f"{self._station.client_id}-check"[:64])

    def _close(self) -> None:
        self._client.disconnect()
        self._client.loop(0.1)
        self._client.close_sockets()

    def _connected(self, client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._limit = getattr(properties, "MaximumPacketSize", None)
        self._lacks = str(reason) if reason.is_failure else lacks(properties)
        own = [trial.topic for trial in self._trials() if not trial.is_rare]
        own += [self._topics.state, self._topics.counters, self._topics.heartbeat]
        client.subscribe([(topic, 1) for topic in (*self._station.subscriptions, *own)])

    def _subscribed(self, client: paho.Client, userdata: Any, mid: int, reasons: Any, properties: Any) -> None:
        if self._granted is None:
            self._granted = [reason.value for reason in reasons]

    def _published(self, client: paho.Client, userdata: Any, mid: int, reason: Any, properties: Any) -> None:
        self._confirmed[mid] = str(reason) if reason.is_failure else None

    def _disconnected(self, client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._ended = True

    def _try(self, trial: _Trial) -> str | None:
        """Publish one message. Returns why it is not delivered; None when it is."""
        if self._ended:
            for _ in self._open():
                pass
        length = packet_bytes(trial.topic, trial.payload)
        if self._limit is not None and length > self._limit:
            return f"a packet of {length} bytes is beyond the broker's limit of {self._limit}: raise it"
        self._came.clear()
        self._confirmed.clear()
        mid = self._client.publish(trial.topic, trial.payload, trial.qos, trial.retain).mid

        def is_back() -> bool:
            return any(found[:2] == (trial.topic, trial.payload) for found in self._came)

        def is_confirmed() -> bool:
            return trial.qos == 1 and mid in self._confirmed and (self._is_5 or self._confirmed[mid] is not None)

        self._turn(WITHIN_S, lambda: is_back() or is_confirmed())
        if (refusal := self._confirmed.get(mid)) is not None:
            return f"the broker refuses it ({refusal}): check its access list and its limits"
        if is_back() or is_confirmed():
            self._turn(0.05)  # a broker may confirm a message and end the connection for it
            return None
        size = f"{len(trial.payload)} bytes"
        if self._ended:
            return f"the broker ends the connection for it ({size}): check its limits and its access list"
        return f"it does not come back ({size}): let the broker's access list write this topic {READ_BACK}"

    def _turn(self, for_s: float, until: Any = lambda: False) -> bool:
        """Run the network loop until something holds. Returns whether it does."""
        deadline = time.monotonic() + for_s
        while not self._ended and not until() and (left_s := deadline - time.monotonic()) > 0:
            if self._client.loop(min(left_s, 0.1)) is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._ended = True
        return bool(until())
