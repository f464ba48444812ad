"""The broker is killed at random instants under load, with all that it held, stays away for a while, and comes back."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.support.faults.consumer import Consumer
from tests.support.faults.ledger import Account
from tests.support.faults.stand import Stand

AWAY_S = 1.0


def kill_broker(folder: Path, count: int, seed: int = 0) -> Account:
    """SIGKILL it so many times; every third time it hangs for a moment before. At the end, everything must be there."""
    chance = random.Random(seed)
    with Stand(folder) as stand:
        consumer = Consumer(stand.broker.port)
        stand.start(stand.write_station())
        consumer.start_machine()
        for _ in range(count):
            consumer.wait_more(5, 30)
            time.sleep(chance.uniform(0.0, 0.3))
            if chance.random() < 1 / 3:
                stand.broker.freeze()  # what was on its way dies with it
                time.sleep(chance.uniform(0.0, 0.3))
            stand.broker.kill()
            time.sleep(chance.uniform(0.0, AWAY_S))
            stand.broker.start()
        consumer.wait_more(5, 30)
        consumer.stop_machine()
        consumer.wait_until_quiet()
        consumer.close()
        return consumer.ledger.account()
