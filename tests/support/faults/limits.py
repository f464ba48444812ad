"""What the broker takes changes while the station judges: the longest packet, the access list, retained messages.

A PLC goes on with its handshake. Under each limit the station or the broker may be killed; after it, everything that
was held back must arrive.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.faults.consumer import Consumer
from tests.support.faults.ledger import Account
from tests.support.faults.plc import Part, Plc
from tests.support.faults.stand import PREFIX, Stand
from tests.support.faults.triggers import released_wrongly

BETWEEN = 60  # parts from one limit to the next
UNDER_S = (1.0, 6.0)  # how long a limit is in force
READY_S = 20.0
BACK_S = 60.0
DROPS = "max_queued_messages 1000"  # without it mosquitto 2.0 ends the connection for what it forbids


@dataclass(frozen=True)
class Limit:
    """line: of the broker's configuration. denied: what the access list lets nobody write."""

    line: str = ""
    denied: tuple[str, ...] = ()


NONE = Limit()
LIMITS = (
    Limit("max_packet_size 700"),  # beyond it are the JSON lines of pictures with long names
    Limit("max_packet_size 200"),  # and all JSON lines
    Limit("retain_available false"),
    Limit(DROPS, ("verdict", "verdict/bin", "verdict/json")),  # confirmed and dropped, with MQTT 3.1.1
    Limit(DROPS, ("verdict/json",)),
    Limit(DROPS, ("verdict/bin",)),
    Limit(DROPS, ("replay/data",)),
    Limit(denied=("verdict", "verdict/bin", "verdict/json")),
    Limit(denied=("verdict/json",)),
)
TOPICS = (
    *("trigger", "trigger/ack", "verdict", "verdict/bin", "verdict/json", "verdict/ack", "replay", "replay/data"),
    *("state", "heartbeat", "counters", "command", "command/ack"),
)


@dataclass(frozen=True)
class Limits:
    """What came of it."""

    limits: int
    restarts: int  # of the station and the broker, while a limit was in force
    held_back: int  # verdicts that waited for the broker when limits were lifted
    not_back: int  # lifted limits after which not everything arrived
    rejected: int  # parts that the PLC's own timer rejected
    exits: tuple[int, ...]  # of the daemon, other than by our own signals
    account: Account

    @property
    def is_clean(self) -> bool:
        """Whether everything that was held back arrived."""
        return self.account.is_clean and not (self.not_back or self.exits)


def change_limits(
    folder: Path,
    count: int,
    seed: int = 0,
    between: int = BETWEEN,
    under_s: tuple[float, float] = UNDER_S,
    limits: Sequence[Limit] = LIMITS,
) -> Limits:
    """At least so many parts and each limit once: after every few parts the broker takes less for some seconds."""
    with Stand(folder, "onodongo") as stand:
        _lengthen_names(folder / "pictures")
        trial = _Trial(stand, random.Random(seed), under_s)
        trial.start_broker()
        consumer = Consumer(stand.broker.port, asks_by_ack=True)
        plc = Plc(stand.broker.port, 12, lambda trigger_id: None)
        trial.start_station()
        consumer.wait_state("READY", READY_S)
        plc.start()
        left, lifted, held_back, not_back = list[Limit](), 0, 0, 0
        while len(plc.parts) < count or lifted < len(limits):
            plc.wait_parts(len(plc.parts) + between, 120)
            left = left or trial.chance.sample(limits, len(limits))
            limit = left.pop()
            trial.impose(limit)
            plc.paused.set()
            plc.idle.wait(READY_S)
            held_back += consumer.spooled
            trial.lift(limit)
            lifted += 1
            not_back += not consumer.wait_all(BACK_S)
            plc.paused.clear()
        plc.stop()
        consumer.wait_until_quiet()
        consumer.close()
        trial.stop_station()
    return Limits(
        limits=lifted,
        restarts=trial.restarts,
        held_back=held_back,
        not_back=not_back,
        rejected=list(plc.parts.values()).count(Part.REJECTED),
        exits=tuple(trial.exits),
        account=consumer.ledger.account(released_wrongly(plc, consumer)),
    )


class _Trial:
    """A broker that takes less and more again, and a station beside it."""

    def __init__(self, stand: Stand, chance: random.Random, under_s: tuple[float, float]) -> None:
        self._stand, self.chance, self._under_s = stand, chance, under_s
        self._protocol = ""
        self.restarts = 0
        self.exits: list[int] = []

    def start_station(self) -> None:
        """With one of the protocols."""
        self._protocol = self.chance.choice(("3.1.1", "5"))
        mqtt = {"host": "127.0.0.1", "port": self._stand.broker.port, "heartbeat_ms": 100, "protocol": self._protocol}
        self._stand.start(self._stand.write_station(mqtt=mqtt))

    def stop_station(self) -> None:
        """By SIGKILL; it must have lived until then."""
        found = self._stand.kill()
        if found != -signal.SIGKILL:
            self.exits.append(found)

    def start_broker(self) -> None:
        """Kill it, and start it without a limit."""
        self._configure(NONE, is_restarted=True)

    def impose(self, limit: Limit) -> None:
        """Put a limit in force for some seconds; every second time something is killed meanwhile."""
        self._configure(limit, is_restarted=self.chance.random() < 1 / 2)
        time.sleep(self.chance.uniform(*self._under_s))
        if self.chance.random() < 1 / 2:
            self.restarts += 1
            if self.chance.random() < 1 / 2:
                self.stop_station()
                self.start_station()
            else:
                self._configure(limit, is_restarted=True)
            time.sleep(self.chance.uniform(*self._under_s))

    def lift(self, limit: Limit) -> None:
        """Everything is taken again. MQTT 5 brokers say so with a new connection; what a station has learned from
        connections that ended it tries again after a minute, or with its next start (docs/reference/mqtt.md)."""
        drops = limit.line == DROPS
        self._configure(NONE, is_restarted=not drops or self.chance.random() < 1 / 2)
        if not drops and (limit.denied or self._protocol == "3.1.1"):
            self.stop_station()
            self.start_station()

    def _configure(self, limit: Limit, is_restarted: bool) -> None:
        broker, access = self._stand.broker, self._stand.folder / "acl"
        allowed = (topic for topic in TOPICS if topic not in limit.denied)
        access.write_text("".join(["topic read ev1/#\n", *(f"topic write {PREFIX}/{topic}\n" for topic in allowed)]))
        broker.configure("allow_anonymous true", f"acl_file {access}", limit.line)
        if is_restarted:
            broker.kill()
            broker.start()
        else:
            broker.reread()


def _lengthen_names(folder: Path) -> None:
    """Every second picture's name becomes so long that its JSON line is longer than others."""
    for path in sorted(folder.iterdir())[::2]:
        path.rename(path.with_name(f"{path.stem}-{'x' * 220}{path.suffix}"))
