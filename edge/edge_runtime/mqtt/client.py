"""The connections to the broker, one after the other: paho-mqtt, with a new client object for each.

    with MqttClient(station, on_event, on_message) as client:
        client.publish("ev1/l/c/state", b"READY;000;", qos=1, retain=True)

A new client for each, because paho keeps what was not confirmed and sends it again, unchanged, whenever it comes back:
an old OK would look like a new one. With the client, all that it held goes; the publisher sends it again, and marks it.

Callbacks run in the network thread and hold paho's locks: they must not block, and must not raise.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_runtime.config.station import MqttSettings, Station
from edge_runtime.errors import ConfigError
from edge_runtime.mqtt.client_id_conflict import ClientIdConflict
from edge_runtime.mqtt.connect_errors import CLOSED, connect_reason, end_reason, refusal_reason
from edge_runtime.mqtt.connection import Confirmed, ConnectionEvent, Down, Refused, Up
from edge_runtime.mqtt.tls import tls_context
from edge_runtime.wire.states import State, StateReport

KEEPALIVE_S = 10
RECONNECT_S = (1.0, 5.0)  # the first pause, and the longest; each is shortened by up to a half at random
IN_FLIGHT = 20  # messages sent and not confirmed; MQTT 5 brokers disconnect who sends more (mosquitto's default is 20)
LOOP_S = 0.5  # how soon a dropped connection is noticed
STOP_S = 0.5
LAST_WILL = StateReport(State.OFFLINE, text="connection lost")


class MqttClient:
    """Connected while the context lasts, or trying to be.

    on_event: told of Up, Down, Confirmed and Refused. on_message: topic, payload and whether the broker had it
    retained. Raises ConfigError when the password file or the certificates cannot be used.
    """

    def __init__(
        self,
        station: Station,
        on_event: Callable[[ConnectionEvent], None],
        on_message: Callable[[str, bytes, bool], None],
    ) -> None:
        self._station, self._on_event, self._on_message = station, on_event, on_message
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._up: _Connection | None = None  # the one that may be used
        self._takeover = ClientIdConflict(station.client_id)
        paho_client(station.mqtt, station.client_id)  # what is wrong with the files is to be told now

    def __enter__(self) -> MqttClient:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if (connection := self._up) is not None:
            connection.client.disconnect()
        # The network thread may hang in a connect; stopping must not take longer for that. It ends with the process.
        self._thread.join(STOP_S)

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Hand a message to the network thread. See BrokerConnection."""
        connection = self._up
        return 0 if connection is None else connection.publish(topic, payload, qos, retain)

    def drop(self) -> None:
        """See BrokerConnection."""
        if (connection := self._up) is not None:
            connection.lost = "it does not answer"

    def _run(self) -> None:
        number = failures = 0
        while not self._stopping.is_set():
            number += 1
            try:
                connection = _Connection(self._station, number, self._on_event, self._on_message, self._came_up)
                reason = connection.last(self._stopping)
            except ConfigError as error:  # the password file or a certificate went away since the start
                reason = str(error)
            failures = 0 if self._up is not None else failures + 1
            self._up = None  # before Down: who has heard of it sends nothing until the next Up
            self._on_event(Down(self._takeover.ended(reason)))
            self._stopping.wait(pause_s(failures, random.random()))

    def _came_up(self, connection: _Connection) -> None:
        self._up = connection
        self._takeover.came_up()
        self._on_event(Up())


class _Connection:
    """One connection, from its beginning to its end. `lost` says why it ended, and ends it when set."""

    def __init__(
        self,
        station: Station,
        number: int,
        on_event: Callable[[ConnectionEvent], None],
        on_message: Callable[[str, bytes, bool], None],
        on_up: Callable[[_Connection], None],
    ) -> None:
        self.lost: str | None = None
        self._was_up, self._last_error = False, ""
        self._mqtt, self._topics, self._first_id = station.mqtt, station.topics, number << 16
        self._on_event, self._on_message, self._on_up = on_event, on_message, on_up
        self.client = paho_client(station.mqtt, station.client_id)
        self.client.will_set(self._topics.state, LAST_WILL.payload(), qos=1, retain=True)
        self.client.max_inflight_messages_set(IN_FLIGHT)
        self.client.on_connect = self._connected
        self.client.on_subscribe = self._subscribed
        self.client.on_disconnect = self._disconnected
        self.client.on_publish = self._published
        self.client.on_message = self._received
        self.client.on_log = self._logged
        self.client.on_socket_open = lambda _client, _userdata, sock: send_at_once(sock)
        # Without this paho writes to the socket in the publisher's thread, too; so it only wakes the network thread.
        self.client.on_socket_register_write = lambda *_: None

    def last(self, stopping: threading.Event) -> str:
        """Connect, and return when the connection has ended, with the reason."""
        try:
            self.client.connect(self._mqtt.host, self._mqtt.port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            return connect_reason(error)
        try:
            while not self.lost and not (stopping.is_set() and not self.client.is_connected()):
                if self.client.loop(LOOP_S) is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                    break
        except (OSError, ValueError) as error:
            self.lost = self.lost or f"the connection was lost: {error}"
        if (sock := self.client.socket()) is not None:
            throw_away(sock)
        tls_says = None if self._was_up else end_reason(self._last_error, self._mqtt.tls)
        return tls_says or self.lost or "the connection was lost"

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Queue a message; its id differs from those of every other connection."""
        return self._first_id + self.client.publish(topic, payload, qos, retain).mid

    def _connected(
        self, client: paho.Client, userdata: Any, flags: paho.ConnectFlags, reason: ReasonCode, props: Properties | None
    ) -> None:
        if reason.is_failure:
            self.lost = refusal_reason(reason)
            return
        client.subscribe([(topic, 1) for topic in self._topics.subscriptions])

    def _subscribed(
        self, client: paho.Client, userdata: Any, mid: int, reasons: list[ReasonCode], props: Properties | None
    ) -> None:
        refused = [t for t, r in zip(self._topics.subscriptions, reasons, strict=False) if r.is_failure]
        if refused:
            self.lost = f"it refuses the subscription to {', '.join(refused)}: check its access list"
        else:
            self._was_up = True
            self._on_up(self)

    def _logged(self, client: paho.Client, userdata: Any, level: int, text: str) -> None:
        if level == paho.MQTT_LOG_ERR:
            self._last_error = text

    def _disconnected(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        props: Properties | None,
    ) -> None:
        self.lost = self.lost or f"the connection was lost: {reason}"

    def _published(
        self, client: paho.Client, userdata: Any, mid: int, reason: ReasonCode, props: Properties | None
    ) -> None:
        mid += self._first_id
        self._on_event(Refused(mid, str(reason)) if reason.is_failure else Confirmed(mid))

    def _received(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        self._on_message(message.topic, bytes(message.payload), message.retain)


def send_at_once(sock: Any) -> None:
    """Let no small packet wait until the one before is acknowledged: that takes 40 ms if the broker is in no hurry."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def throw_away(sock: Any) -> None:
    """Close a socket at once: what the kernel could not send yet goes, too. The broker then publishes the last will."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def pause_s(failures: int, chance: float) -> float:
    """How long to wait before the next attempt, after so many that failed in a row. chance: 0 to 1.

    >>> [pause_s(failures, 0.0) for failures in range(5)]
    [1.0, 1.0, 2.0, 4.0, 5.0]
    """
    first, longest = RECONNECT_S
    longest_now = min(longest, first * 2.0 ** max(0, min(failures, 10) - 1))
    return longest_now * (1 - chance / 2)


def paho_client(mqtt: MqttSettings, client_id: str) -> paho.Client:
    """A client that is set up and not connected. Raises ConfigError for files that cannot be used."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id,
        # A clean session: what was ordered while the station was away is for a part that is gone.
        clean_session=None if mqtt.protocol == "5" else True,
        protocol=paho.MQTTv5 if mqtt.protocol == "5" else paho.MQTTv311,
    )
    if mqtt.user is not None:
        client.username_pw_set(mqtt.user, read_password(mqtt))
    if mqtt.tls is not None:
        client.tls_set_context(tls_context(mqtt.tls))
    return client


def read_password(mqtt: MqttSettings) -> str | None:
    """The password, without a line end. Raises ConfigError."""
    if mqtt.password_file is None:
        return None
    try:
        password = mqtt.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"mqtt.password_file {mqtt.password_file} cannot be read: {reason}") from None
    if not password:
        raise ConfigError(f"mqtt.password_file {mqtt.password_file} is empty: write the password into it")
    return password


def probe_broker(station: Station, timeout_s: float = 5.0) -> str | None:
    """Connect once under another id. Returns why that fails; None when it works. Raises ConfigError."""
    mqtt = station.mqtt
    answers: list[str | None] = []
    errors: list[str] = []

    def logged(client: paho.Client, userdata: Any, level: int, text: str) -> None:
        if level == paho.MQTT_LOG_ERR:
            errors.append(text)

    def answered(client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
        answers.append(refusal_reason(reason) if reason.is_failure else None)

    client = paho_client(mqtt, f"{station.client_id}-check"[:64])
    client.on_connect, client.on_log = answered, logged
    client.connect_timeout = timeout_s
    try:
        client.connect(mqtt.host, mqtt.port, KEEPALIVE_S)
        waited = 0.0
        while not answers and waited < timeout_s:
            if client.loop(0.1) is not MQTTErrorCode.MQTT_ERR_SUCCESS and not answers:
                return end_reason(" ".join(errors), mqtt.tls) or CLOSED
            waited += 0.1
    except (OSError, ValueError) as error:
        return connect_reason(error)
    finally:
        client.disconnect()
        client.loop(0.1)
    return answers[0] if answers else f"it did not answer within {timeout_s:.0f} s: is this an MQTT port?"
