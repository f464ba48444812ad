"""The clock steps while a machine triggers: by seconds or by years, in both directions, while the daemon works and
while it is down. What was answered before is asked for once more after each step.
"""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.faults.consumer import Consumer
from tests.support.faults.ledger import Account
from tests.support.faults.stand import PREFIX, Stand

STEPS_S = (-315_360_000, -86_400, -3600, -7, 0, 7, 3600, 86_400, 315_360_000)  # ten years, a day, an hour, seconds
BETWEEN = 20  # triggers from one step to the next
ASKED_AGAIN = 3  # earlier triggers after each step
READY_S = 30.0


@dataclass(frozen=True)
class Clocks:
    """What came of it. unflagged: answers of an earlier start of the station that came without the flag replay."""

    steps: int
    restarts: int
    asked_again: int
    duplicates: int  # how many triggers were answered DUPLICATE: these, and what the machine itself sent twice
    unflagged: int
    account: Account

    @property
    def is_clean(self) -> bool:
        """Whether no answer was lost, given twice or brought back as if it were fresh."""
        return self.account.is_clean and not self.unflagged


def fake_clock() -> Path | None:
    """libfaketime, which lies to a process about the time of day; None where it is not installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def step_clock(folder: Path, count: int, seed: int = 0) -> Clocks:
    """At least so many triggers; after every few the clock steps, every second time while the daemon is down."""
    library = fake_clock()
    if library is None:
        raise FileNotFoundError("libfaketime is not installed: apt-get install libfaketime")
    folder.mkdir(parents=True)
    chance, offset = random.Random(seed), folder / "offset"
    offset.write_text("+0")
    environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # what a machine's own steps leave alone
    }
    steps = restarts = asked_again = 0
    with Stand(folder, environment=environment) as stand:
        consumer = Consumer(stand.broker.port)
        station = stand.write_station()
        stand.start(station)
        consumer.wait_state("READY", READY_S)
        consumer.start_machine()
        while len(consumer.ledger) < count:
            consumer.wait_more(BETWEEN, READY_S)
            step = f"{chance.choice(STEPS_S):+d}"
            if steps % 2:
                offset.write_text(step)
            else:
                stand.kill(chance.choice((signal.SIGKILL, signal.SIGTERM)))
                offset.write_text(step)
                consumer.forget_states()
                stand.start(station)
                consumer.wait_state("READY", READY_S)
                restarts += 1
            steps += 1
            for _ in range(ASKED_AGAIN):
                asked_again += _ask_again(consumer, chance)
        consumer.stop_machine()
        consumer.wait_until_quiet()
        consumer.close()
    duplicates = consumer.replies.get("DUPLICATE", 0)
    return Clocks(steps, restarts, asked_again, duplicates, consumer.ledger.unflagged, consumer.ledger.account())


def _ask_again(consumer: Consumer, chance: random.Random) -> int:
    """Send a trigger that has its answer once more. Returns how many were sent."""
    answered = [v for v in consumer.ledger.verdicts() if v.trigger_id]
    if not answered:
        return 0
    verdict = chance.choice(answered)
    consumer.client.publish(f"{PREFIX}/trigger", f"{verdict.trigger_id};12;{verdict.part_id}", 1)
    time.sleep(0.02)
    return 1
