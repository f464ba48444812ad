"""paho's client with bounds: on what it reads into memory, what it sends unconfirmed, and the descriptors it holds."""

from __future__ import annotations

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

LONGEST_IN = 16_384  # bytes of a packet; a station is sent 33 bytes, and its own lines of up to some thousand
READ_BYTES = 65_536
RECEIVE_MAXIMUM = 64  # QoS 1 messages that an MQTT 5 broker sends before the station has confirmed one
IN_FLIGHT = 20  # messages sent and not confirmed; MQTT 5 brokers disconnect who sends more (mosquitto's default is 20)


class BoundedClient(paho.Client):
    """See the module. paho 2 has no public way to any of the three; the tests hold them against real sockets."""

    def _sock_recv(self, bufsize: int) -> bytes:
        """As paho's. Of a packet beyond LONGEST_IN only the beginning is kept, so that it takes no memory: its topic,
        and enough of its payload to be too long for anything that a station is sent."""
        del self._in_packet["packet"][LONGEST_IN:]
        return super()._sock_recv(min(bufsize, READ_BYTES))

    def limit_in_flight(self, broker_takes: int) -> None:
        """The broker takes so many unconfirmed messages."""
        self._max_inflight_messages = max(1, min(IN_FLIGHT, broker_takes))

    def close_sockets(self) -> None:
        """Close every descriptor now; otherwise the garbage collector would, some time."""
        self._reset_sockets()


def connect_properties() -> Properties:
    """What an MQTT 5 broker is asked not to exceed."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types there
    properties.MaximumPacketSize = LONGEST_IN
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    return properties


def lacks(properties: Properties | None) -> str | None:
    """What a station needs and the broker's CONNACK says it does not have; None when nothing."""
    if getattr(properties, "RetainAvailable", 1) == 0:
        return "it keeps no retained messages, and /state is one: allow them in its configuration"
    if getattr(properties, "MaximumQoS", 2) < 1:
        return "it takes messages at QoS 0 only, and verdicts need QoS 1: allow it in its configuration"
    return None
