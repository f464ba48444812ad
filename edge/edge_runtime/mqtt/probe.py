"""Whether the broker takes the station's connection: what `edge-daemon check` asks once, under another client id."""

from __future__ import annotations

from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from edge_runtime.config.station import Station
from edge_runtime.mqtt.connect_errors import CLOSED, connect_reason, end_reason, refusal_reason
from edge_runtime.mqtt.paho_connection import KEEPALIVE_S, paho_client


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
