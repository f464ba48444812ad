"""Malformed packets come from the broker: a proxy puts them into what it sends, at any place and in every moment of a
connection, while a machine triggers. The link must come back after each.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.faults.consumer import Consumer
from tests.support.faults.ledger import Account
from tests.support.faults.malformed_packets import kinds, spoilt
from tests.support.faults.proxy import FaultProxy
from tests.support.faults.stand import PREFIX, Stand

BETWEEN = 10  # triggers from one packet to the next
BACK_S = 50.0  # the next verdict after a packet must come within this
PROTOCOLS = ("3.1.1", "5")
KINDS = kinds(f"{PREFIX}/trigger".encode())


@dataclass(frozen=True)
class Packets:
    """What came of it."""

    packets: int
    connections_ended: int  # by those packets that ended one
    longest_silence_s: float  # from a packet to the next verdict
    not_back: int  # packets after which no verdict came in time
    exits: int  # of the daemon, which must go on
    account: Account

    @property
    def is_clean(self) -> bool:
        """Whether the link came back each time, and nothing was lost, twice or unanswered."""
        return self.account.is_clean and not (self.not_back or self.exits)


def inject_packets(folder: Path, count: int, seed: int = 0, between: int = BETWEEN) -> Packets:
    """At least so many triggers; after every few a packet, half of them over MQTT 3.1.1 and half over MQTT 5."""
    chance = random.Random(seed)
    packets = ended = not_back = exits = 0
    longest_s = 0.0
    with Stand(folder) as stand, FaultProxy(stand.broker.port) as proxy:
        consumer = Consumer(stand.broker.port)
        for number, protocol in enumerate(PROTOCOLS):
            mqtt = {"host": "127.0.0.1", "port": proxy.port, "heartbeat_ms": 100, "protocol": protocol}
            stand.start(stand.write_station(mqtt=mqtt))
            consumer.wait_state("READY", BACK_S)
            if not number:
                consumer.start_machine()
            while len(consumer.ledger) < count * (number + 1) / len(PROTOCOLS):
                consumer.wait_more(between, BACK_S)
                before, began_s = proxy.connections, time.monotonic()
                _inject(proxy, chance)
                packets += 1
                not_back += not consumer.wait_more(2, BACK_S)  # the first may have been on its way
                longest_s = max(longest_s, time.monotonic() - began_s)
                ended += proxy.connections > before
            exits += stand.pid in stand.nursery.exits
            stand.kill()
            consumer.forget_states()
        stand.start(stand.write_station())
        consumer.wait_more(2, BACK_S)
        consumer.stop_machine()
        consumer.wait_until_quiet()
        consumer.close()
    return Packets(packets, ended, round(longest_s, 1), not_back, exits, consumer.ledger.account())


def _inject(proxy: FaultProxy, chance: random.Random) -> None:
    """Put one packet before, into or behind the next bytes; every fourth time these are the first of a connection."""
    packet = _malformed(chance)

    def spoil(data: bytes) -> bytes:
        at = chance.choice((0, len(data), chance.randrange(len(data))))
        return data[:at] + packet + data[at:]

    if chance.random() < 1 / 4:
        proxy.cut()
    proxy.spoil_next = spoil
    deadline_s = time.monotonic() + BACK_S
    while proxy.spoil_next is not None and time.monotonic() < deadline_s:
        time.sleep(0.001)


def _malformed(chance: random.Random) -> bytes:
    if chance.random() < 1 / 4:
        return chance.randbytes(chance.randrange(1, 40))
    return chance.choice(list(spoilt(chance.choice(list(KINDS.values())))))
