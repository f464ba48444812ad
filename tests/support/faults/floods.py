"""Another client floods the station with thousands of messages a second of every kind, while a machine triggers.

Each trigger that is accepted, whoever sent it, must get its one verdict, and the daemon must end in time when it is
told to in the middle of a flood.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.faults.consumer import Consumer
from tests.support.faults.ledger import Account
from tests.support.faults.stand import PREFIX, Stand

BETWEEN = 60  # triggers from one flood to the next
PER_S = 3000
FLOOD_S = 3.0
READY_S = 60.0  # what was sent before the end of a flood is worked off first
STOP_S = 10.0
PROTOCOLS = ("3.1.1", "5")
FIRST_ID = 3_000_000_000  # of triggers in floods: the machine's own are small
Kind = Callable[[int], tuple[str, bytes]]
FLOODS: dict[str, Kind] = {  # topic and payload of the message of a number
    "self-tests": lambda n: ("command", b"SELFTEST"),
    "replays": lambda n: ("replay", b"0;4294967295" if n % 2 else b"%d;%d" % (n, n + 9)),
    "malformed messages": lambda n: (("trigger", "command", "verdict/ack", "replay")[n % 4], b"\xff;nonsense;%d" % n),
    "triggers": lambda n: ("trigger", b"%d;12;FLOOD" % (FIRST_ID + n)),
    "the same trigger": lambda n: ("trigger", b"%d;12;SAME" % (FIRST_ID - 1)),
    "big payloads": lambda n: (("trigger", "command", "verdict/ack", "replay")[n % 4], b"1;12;" + b"X" * 20_000),
}


@dataclass(frozen=True)
class Floods:
    """What came of it."""

    floods: int
    messages: int
    answered_meanwhile: int  # triggers of the machine, while a flood was on
    stops: int  # floods in whose middle the daemon was told to end
    longest_stop_s: float
    exits: tuple[int, ...]  # other than 0 after SIGTERM
    replies: dict[str, int]  # what came on `/trigger/ack`
    account: Account

    @property
    def is_clean(self) -> bool:
        """Whether everything accepted was answered once, and the daemon ended in time and in order."""
        return self.account.is_clean and not self.exits and self.longest_stop_s < STOP_S


def flood(folder: Path, count: int, seed: int = 0, between: int = BETWEEN, flood_s: float = FLOOD_S) -> Floods:
    """At least so many triggers of the machine; after every few a flood, every second one with a stop in its middle.

    It goes on until each kind of flood was there twice.
    """
    chance = random.Random(seed)
    floods = messages = meanwhile = stops = 0
    longest_s, exits, left = 0.0, list[int](), list[str]()
    with Stand(folder) as stand:
        consumer = Consumer(stand.broker.port, asks_by_ack=True)
        _start(stand, consumer, chance)
        consumer.start_machine()
        own = 0
        while own < count or floods < 2 * len(FLOODS):
            consumer.wait_more(between, READY_S)
            left = left or chance.sample(sorted(FLOODS), len(FLOODS))
            before = _own_answers(consumer)
            with _Flood(stand.broker.port, FLOODS[left.pop()], messages) as running:
                time.sleep(flood_s * chance.uniform(0.5, 1.0))
                if floods % 2:
                    began_s = time.monotonic()
                    found = stand.kill(signal.SIGTERM)
                    longest_s = max(longest_s, time.monotonic() - began_s)
                    exits += [found] if found else []
                    stops += 1
                    _start(stand, consumer, chance)
                time.sleep(flood_s / 2)
            meanwhile += _own_answers(consumer) - before
            floods, messages = floods + 1, running.sent
            own = _own_answers(consumer)
        consumer.stop_machine()
        consumer.wait_until_quiet()
        consumer.close()
    return Floods(
        floods=floods,
        messages=messages,
        answered_meanwhile=meanwhile,
        stops=stops,
        longest_stop_s=round(longest_s, 1),
        exits=tuple(exits),
        replies=consumer.replies,
        account=consumer.ledger.account(),
    )


def _start(stand: Stand, consumer: Consumer, chance: random.Random) -> None:
    """With one of the protocols. It is ready when the flood lets it be."""
    mqtt = {"host": "127.0.0.1", "port": stand.broker.port, "heartbeat_ms": 100, "protocol": chance.choice(PROTOCOLS)}
    consumer.forget_states()
    stand.start(stand.write_station(mqtt=mqtt))
    consumer.wait_state("READY", READY_S)


def _own_answers(consumer: Consumer) -> int:
    """How many triggers of the machine have their verdict."""
    return sum(0 < v.trigger_id < FIRST_ID - 1 for v in consumer.ledger.verdicts())


class _Flood:
    """Sends one kind of message, so many a second, while its context lasts. sent: the number of the last one."""

    def __init__(self, port: int, kind: Kind, first: int) -> None:
        self._port, self._kind, self.sent = port, kind, first
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Flood:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, "flood")
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        due_s = time.monotonic()
        while not self._stopping.is_set():
            for _ in range(PER_S // 100):
                self.sent += 1
                topic, payload = self._kind(self.sent)
                client.publish(f"{PREFIX}/{topic}", payload, 0)
            due_s += 0.01
            time.sleep(max(0.0, due_s - time.monotonic()))
        client.disconnect()
        client.loop_stop()
