"""One connection to the broker, by paho-mqtt, with a paho client of its own.

A new client for each connection, because paho keeps what was not confirmed and sends it again, unchanged, whenever it
comes back: an old OK would look like a new one. With the client, all that it held goes; the publisher sends it again,
and marks it.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_runtime.config.station import MqttSettings, Station
from edge_runtime.errors import ConfigError
from edge_runtime.mqtt.bounded_client import IN_FLIGHT, BoundedClient, connect_properties, lacks
from edge_runtime.mqtt.connect_errors import connect_reason, end_reason, refusal_reason
from edge_runtime.mqtt.connection import Confirmed, ConnectionEvent, Refused, Up
from edge_runtime.mqtt.tls import tls_context
from edge_runtime.wire.states import State, StateReport

KEEPALIVE_S = 10
LOOP_S = 0.5  # how soon a dropped connection is noticed
LAST_WILL = StateReport(State.OFFLINE, text="connection lost")


class PahoConnection:
    """One connection, from its beginning to its end. The network thread runs it; any thread may publish, disconnect and
    give it up."""

    def __init__(
        self,
        station: Station,
        number: int,
        on_event: Callable[[ConnectionEvent], None],
        on_message: Callable[[str, bytes, bool], None],
        on_up: Callable[[PahoConnection], None],
    ) -> None:
        self._lost: str | None = None  # why it ended; ends it when set
        self._was_up, self._last_error = False, ""
        self.up = Up()  # what is known of the broker since the connection came up
        self.heard_s = self.turned_s = time.monotonic()  # the last message; the last turn of the network loop
        self._mqtt, self._topics, self._first_id = station.mqtt, station.topics, number << 16
        self._needed = station.subscriptions
        self._echo = (station.topics.verdict_json,) if station.mqtt.protocol == "3.1.1" else ()
        self._on_event, self._on_message, self._on_up = on_event, on_message, on_up
        self._client = paho_client(station.mqtt, station.client_id)
        self._client.will_set(self._topics.state, LAST_WILL.payload(), qos=1, retain=True)
        self._client.max_inflight_messages = IN_FLIGHT
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_disconnect = self._disconnected
        self._client.on_publish = self._published
        self._client.on_message = self._received
        self._client.on_log = self._logged
        self._client.on_socket_open = lambda _client, _userdata, sock: send_at_once(sock)
        # Without this paho writes to the socket in the publisher's thread, too; so it only wakes the network thread.
        self._client.on_socket_register_write = lambda *_: None

    def run(self, stopping: threading.Event) -> str:
        """Connect, and return when the connection has ended, with the reason."""
        try:
            return self._run(stopping)
        finally:
            self._client.close_sockets()

    def _run(self, stopping: threading.Event) -> str:
        try:
            connect(self._client, self._mqtt)
        except (OSError, ValueError) as error:
            return connect_reason(error)
        try:
            while not self._lost and not (stopping.is_set() and not self._client.is_connected()):
                self.turned_s = time.monotonic()
                if self._client.loop(LOOP_S) is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                    break
        except Exception as error:  # a packet that paho cannot read: whatever it raises, the broker is to blame
            self._lost = self._lost or f"the connection was lost: {type(error).__name__}: {error}"
        if (sock := self._client.socket()) is not None:
            throw_away(sock)
        tls_says = None if self._was_up else end_reason(self._last_error, self._mqtt.tls)
        return tls_says or self._lost or "the connection was lost"

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Queue a message; its id differs from those of every other connection."""
        return self._first_id + self._client.publish(topic, payload, qos, retain).mid

    def disconnect(self) -> None:
        """Take leave of the broker; `run` then returns."""
        self._client.disconnect()

    def give_up(self, reason: str) -> None:
        """End it without the broker; `run` then returns with this reason."""
        self._lost = reason

    def _connected(
        self, client: paho.Client, userdata: Any, flags: paho.ConnectFlags, reason: ReasonCode, props: Properties | None
    ) -> None:
        if reason.is_failure:
            self._lost = refusal_reason(reason)
            return
        if (lacking := lacks(props)) is not None:
            self._lost = lacking
            return
        self.up = Up(getattr(props, "MaximumPacketSize", None))
        self._client.limit_in_flight(getattr(props, "ReceiveMaximum", IN_FLIGHT))
        client.subscribe([(topic, 1) for topic in (*self._needed, *self._echo)])

    def _subscribed(
        self, client: paho.Client, userdata: Any, mid: int, reasons: list[ReasonCode], props: Properties | None
    ) -> None:
        granted = [not reason.is_failure for reason in reasons]
        granted += [False] * (len(self._needed) + len(self._echo) - len(granted))
        refused = [topic for topic, is_granted in zip(self._needed, granted, strict=False) if not is_granted]
        if refused:
            self._lost = f"it refuses the subscription to {', '.join(refused)}: check its access list"
        else:
            self._was_up = True
            self.up = replace(self.up, echoes=bool(self._echo) and granted[-1])
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
        self._lost = self._lost or f"the connection was lost: {reason}"

    def _published(
        self, client: paho.Client, userdata: Any, mid: int, reason: ReasonCode, props: Properties | None
    ) -> None:
        mid += self._first_id
        self._on_event(Refused(mid, str(reason)) if reason.is_failure else Confirmed(mid))

    def _received(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        self.heard_s = time.monotonic()
        self._on_message(message.topic, bytes(message.payload), message.retain)


def send_at_once(sock: Any) -> None:
    """Let no small packet wait until the one before is acknowledged: that takes 40 ms if the broker is in no hurry."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def throw_away(sock: Any) -> None:
    """Close a socket at once: what the kernel could not send yet goes, too. The broker then publishes the last will."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def connect(client: paho.Client, mqtt: MqttSettings) -> None:
    """Connect, with the bounds that MQTT 5 has room for. Raises OSError and ValueError."""
    if mqtt.protocol == "5":
        client.connect(mqtt.host, mqtt.port, KEEPALIVE_S, properties=connect_properties())
    else:
        client.connect(mqtt.host, mqtt.port, KEEPALIVE_S)


def paho_client(mqtt: MqttSettings, client_id: str) -> BoundedClient:
    """A client that is set up and not connected. Raises ConfigError for files that cannot be used."""
    client = BoundedClient(
        CallbackAPIVersion.VERSION2,
        client_id,
        # A clean session: a trigger of while the station was away is for a part that is gone.
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
