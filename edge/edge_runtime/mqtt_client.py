"""The connection to the broker: paho-mqtt with its own network thread, which reconnects with growing pauses.

    with MqttClient(station, on_event, on_message) as client:
        client.publish("ev1/l/c/state", b"READY;000;", qos=1, retain=True)

Callbacks run in the network thread and hold paho's locks: they must not block, and must not raise.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_runtime.errors import ConfigError
from edge_runtime.link import Confirmed, Down, LinkEvent, Refused, Up
from edge_runtime.states import State, StateReport
from edge_runtime.station import MqttSettings, Station

KEEPALIVE_S = 10
RECONNECT_S = (1, 30)  # the first pause, and the longest
IN_FLIGHT = 20  # messages sent and not confirmed; MQTT 5 brokers disconnect who sends more (mosquitto's default is 20)
STOP_S = 0.5
LAST_WILL = StateReport(State.OFFLINE, text="connection lost")


class MqttClient:
    """Connected while the context lasts, or trying to be.

    on_event: told of Up, Down and Confirmed. on_message: topic, payload and whether the broker had it retained.
    Raises ConfigError when the password file or the certificates cannot be used.
    """

    def __init__(
        self,
        station: Station,
        on_event: Callable[[LinkEvent], None],
        on_message: Callable[[str, bytes, bool], None],
    ) -> None:
        self._mqtt, self._topics = station.mqtt, station.topics
        self._on_event, self._on_message = on_event, on_message
        self._client = paho_client(station.mqtt, station.client_id)
        self._client.will_set(self._topics.state, LAST_WILL.payload(), qos=1, retain=True)
        self._client.reconnect_delay_set(*RECONNECT_S)
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.on_connect = self._connected
        self._client.on_connect_fail = self._not_connected
        self._client.on_subscribe = self._subscribed
        self._client.on_disconnect = self._disconnected
        self._client.on_publish = self._published
        self._client.on_message = self._received

    def __enter__(self) -> MqttClient:
        self._client.connect_async(self._mqtt.host, self._mqtt.port, KEEPALIVE_S)
        self._client.loop_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        # loop_stop waits for the network thread, which may sleep before its next attempt or hang in a connect; stopping
        # must not take longer for that. Both threads are daemons and end with the process at the latest.
        stopper = threading.Thread(target=self._client.loop_stop, daemon=True)
        stopper.start()
        stopper.join(STOP_S)

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Hand a message to the network thread."""
        return self._client.publish(topic, payload, qos, retain).mid

    def _connected(
        self, client: paho.Client, userdata: Any, flags: paho.ConnectFlags, reason: ReasonCode, props: Properties | None
    ) -> None:
        if reason.is_failure:
            self._on_event(Down(f"it refused the connection: {reason}"))
            return
        client.subscribe([(topic, 1) for topic in self._topics.subscriptions])

    def _not_connected(self, client: paho.Client, userdata: Any) -> None:
        self._on_event(Down("it cannot be reached"))

    def _subscribed(
        self, client: paho.Client, userdata: Any, mid: int, reasons: list[ReasonCode], props: Properties | None
    ) -> None:
        refused = [t for t, r in zip(self._topics.subscriptions, reasons, strict=False) if r.is_failure]
        if refused:
            self._on_event(Down(f"it refuses the subscription to {', '.join(refused)}: check its access list"))
        else:
            self._on_event(Up())

    def _disconnected(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        props: Properties | None,
    ) -> None:
        self._on_event(Down(f"the connection was lost: {reason}"))

    def _published(
        self, client: paho.Client, userdata: Any, mid: int, reason: ReasonCode, props: Properties | None
    ) -> None:
        self._on_event(Refused(mid, str(reason)) if reason.is_failure else Confirmed(mid))

    def _received(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        self._on_message(message.topic, bytes(message.payload), message.retain)


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
        ca, cert, key = mqtt.tls.ca, mqtt.tls.cert, mqtt.tls.key
        try:
            client.tls_set(str(ca), str(cert) if cert else None, str(key) if key else None)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise ConfigError(
                f"mqtt.tls: the certificates cannot be used ({error}): ca {ca}, cert {cert}, key {key} "
                "must be PEM files that this user may read"
            ) from error
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


def probe_broker(station: Station, timeout_s: float = 5.0) -> str:
    """Connect once under another id. Returns why that fails; empty when it works. Raises ConfigError."""
    mqtt = station.mqtt
    answers: list[str] = []

    def answered(client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
        answers.append(f"it refused the connection: {reason}" if reason.is_failure else "")

    client = paho_client(mqtt, f"{station.client_id}-check"[:64])
    client.on_connect = answered
    client.connect_timeout = timeout_s
    try:
        client.connect(mqtt.host, mqtt.port, KEEPALIVE_S)
        waited = 0.0
        while not answers and waited < timeout_s:
            if client.loop(0.1) is not MQTTErrorCode.MQTT_ERR_SUCCESS and not answers:
                return "it closed the connection before it answered: is this an MQTT port, with or without TLS?"
            waited += 0.1
    except (OSError, ValueError) as error:
        return str(error)
    finally:
        client.disconnect()
        client.loop(0.1)
    return answers[0] if answers else f"it did not answer within {timeout_s:.0f} s: is this an MQTT port?"
