"""Packets of MQTT that a broker may send, by hand, and each of them spoilt in every way."""

from __future__ import annotations

from collections.abc import Iterator


def remaining_length(number: int) -> bytes:
    """As in a fixed header.

    >>> remaining_length(321).hex()
    'c102'
    """
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def publish(topic: bytes, payload: bytes, qos: int = 0) -> bytes:
    """A PUBLISH packet as it should be."""
    body = len(topic).to_bytes(2, "big") + topic + (b"\x00\x07" if qos else b"") + payload
    return bytes([0x30 | qos << 1]) + remaining_length(len(body)) + body


def kinds(topic: bytes) -> dict[str, bytes]:
    """Each kind of packet that a broker may send: well formed, to be spoilt. topic: of the messages."""
    return {
        "CONNACK": b"\x20\x02\x00\x00",
        "PUBLISH at QoS 0": publish(topic, b"1;0;a"),
        "PUBLISH at QoS 1": publish(topic, b"1;0;a", 1),
        "PUBLISH at QoS 2": publish(topic, b"1;0;a", 2),
        "PUBACK": b"\x40\x02\x00\x01",
        "PUBREC": b"\x50\x02\x00\x01",
        "PUBREL": b"\x62\x02\x00\x01",
        "PUBCOMP": b"\x70\x02\x00\x01",
        "SUBACK": b"\x90\x06\x00\x01\x01\x01\x01\x01",
        "UNSUBACK": b"\xb0\x02\x00\x01",
        "PINGRESP": b"\xd0\x00",
        "DISCONNECT": b"\xe0\x02\x00\x05",
        "AUTH": b"\xf0\x02\x18\x00",
    }


def spoilt(packet: bytes) -> Iterator[bytes]:
    """A packet shortened to each length, with a length that says so and with the old one; and changed lengths."""
    kind, body = packet[:1], packet[2:]
    for length in range(len(body)):
        yield kind + remaining_length(length) + body[:length]
    yield packet[:-1] if len(packet) > 2 else kind  # the end is missing
    yield kind + remaining_length(len(body) + 7) + body
    yield kind + b"\xff\xff\xff\x7f" + body  # 256 MB are announced
    yield kind + b"\xff\xff\xff\xff\xff" + body  # a length that never ends
    yield bytes([packet[0] | 0x0F]) + packet[1:]  # flags that no packet has
