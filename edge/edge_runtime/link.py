"""The seam between the publisher and the network: what a connection to a broker does, and what it reports.

The real one is MqttClient; tests have a scripted one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Link(Protocol):
    """A connection to a broker that finds its way back by itself."""

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Hand a message over; never blocks. Returns the id that its Confirmed event will carry (QoS 1).

        A QoS 1 message that was handed over survives a lost connection: it is sent again after the next.
        """


@dataclass(frozen=True)
class Up:
    """Connected, and the subscriptions are in force."""


@dataclass(frozen=True)
class Down:
    """Not connected any more, or not yet; `reason` is for people. It is being retried."""

    reason: str


@dataclass(frozen=True)
class Confirmed:
    """The broker has a QoS 1 message (PUBACK)."""

    mid: int


@dataclass(frozen=True)
class Refused:
    """The broker did not take a QoS 1 message (MQTT 5 says so; with 3.1.1 it just drops it)."""

    mid: int
    reason: str


LinkEvent = Up | Down | Confirmed | Refused
