"""The daemon is killed at random instants, while it starts and while it works, and started again."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.support.faults.consumer import Consumer
from tests.support.faults.ledger import Account
from tests.support.faults.stand import Stand

STARTING_S = 0.4  # the longest life that is counted from the start of the process
WORKING_S = 0.6  # the longest that is counted from READY


def kill_daemon(folder: Path, count: int, seed: int = 0) -> Account:
    """SIGKILL it so many times, one time in four at a random instant of its start; then let it answer what is left."""
    chance = random.Random(seed)
    with Stand(folder) as stand:
        consumer = Consumer(stand.broker.port)
        station = stand.write_station()
        consumer.start_machine()
        for _ in range(count):
            stand.start(station)
            if chance.random() < 0.25:
                time.sleep(chance.uniform(0.0, STARTING_S))
            else:
                consumer.wait_state("READY", 20)
                time.sleep(chance.uniform(0.0, WORKING_S))
            stand.kill()
            consumer.forget_states()
        stand.start(station)
        consumer.stop_machine()
        consumer.wait_until_quiet()
        consumer.close()
        return consumer.ledger.account()
