"""The seam between the publisher and the network: what a connection to a broker does, and what it reports.

The real one is MqttClient; tests have a scripted one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class BrokerConnection(Protocol):
    """A connection to a broker that is made again when it is lost.

    Nothing survives a lost connection: what was handed over before Down and not confirmed is never sent later.
    """

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Hand a message over; never blocks. Returns the id that its Confirmed event will carry (QoS 1).

        0: there is no connection, and Down is on its way or was reported.
        """

    def drop(self) -> None:
        """Give this connection up, for the broker does not answer any more: Down follows, and then a new one."""

    def last_heard_s(self) -> float:
        """When a message from the broker came last (monotonic); 0 when none has."""


@dataclass(frozen=True)
class Up:
    """Connected, and the subscriptions are in force.

    packet_limit: the longest packet that the broker says it takes (MQTT 5). echoes: verdicts come back, see own_echo.
    """

    packet_limit: int | None = None
    echoes: bool = False


@dataclass(frozen=True)
class Down:
    """Not connected any more, or not yet; `reason` is for people. It is being retried."""

    reason: str


@dataclass(frozen=True)
class Confirmed:
    """The broker has a QoS 1 message (PUBACK). Ids of different connections differ."""

    mid: int


@dataclass(frozen=True)
class Refused:
    """The broker did not take a QoS 1 message (MQTT 5 says so; with 3.1.1 it just drops it)."""

    mid: int
    reason: str


ConnectionEvent = Up | Down | Confirmed | Refused
