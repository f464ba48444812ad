"""A PLC runs its handshake ten thousand times, and everything goes wrong in turn."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.records import Outcome
from tests.support.faults.consumer import Consumer
from tests.support.faults.fault_kinds import PICTURE_FAULTS, PICTURES, FaultKinds
from tests.support.faults.ledger import Account, is_false_ok
from tests.support.faults.plc import Part, Plc
from tests.support.faults.proxy import FaultProxy
from tests.support.faults.stand import Stand

PARTS_BETWEEN = 50  # parts from one fault to the next


@dataclass(frozen=True)
class Triggers:
    """What the PLC counted, and what the consumer who has everything makes of it."""

    parts: int
    ok: int
    nok: int
    error: int
    rejected: int  # no verdict within the PLC's window: the part is rejected, whatever comes later
    kinds_of_faults: int
    faults: int
    refused_records: int  # binary records that failed a check
    oversized: int  # messages that did not fit into 100 bytes
    account: Account

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, conflicting, falsely OK or unanswered."""
        return self.account.is_clean and not (self.refused_records or self.oversized)


def trigger_through_faults(folder: Path, count: int, seed: int = 0, between: int = PARTS_BETWEEN) -> Triggers:
    """Put so many parts through; after every few of them the next kind of fault happens, in a random order."""
    chance, control = random.Random(seed), folder / "control"
    with Stand(folder, PICTURES, control) as stand, FaultProxy(stand.broker.port) as proxy:
        station = stand.write_station(port=proxy.port, deadline_ms=1000)
        consumer = Consumer(stand.broker.port, asks_by_ack=True)
        plc = Plc(stand.broker.port, 12, lambda trigger_id: None)
        kinds = FaultKinds(stand, proxy, plc, consumer, control, station, chance)
        stand.start(station)
        plc.start()
        done, names = 0, list[str]()
        while len(plc.parts) < count:
            plc.wait_parts(min(len(plc.parts) + between, count), 120)
            names = names or chance.sample(sorted(kinds.all), len(kinds.all))
            kinds.all[names.pop()]()
            done += 1
            kinds.ensure_running()
        plc.wait_parts(len(plc.parts) + 5, 60)
        plc.stop()
        time.sleep(1)
        consumer.wait_until_quiet()
        consumer.close()
    parts = list(plc.parts.values())
    account = consumer.ledger.account(released_wrongly(plc, consumer))
    return Triggers(
        parts=len(parts),
        ok=parts.count(Part.OK),
        nok=parts.count(Part.NOK),
        error=parts.count(Part.ERROR),
        rejected=parts.count(Part.REJECTED),
        kinds_of_faults=PICTURE_FAULTS + min(done, len(kinds.all)),
        faults=done,
        refused_records=plc.refused_records,
        oversized=plc.oversized,
        account=account,
    )


def released_wrongly(plc: Plc, consumer: Consumer) -> int:
    """How many parts the PLC let pass for which the consumer has no OK of a good picture."""
    verdicts = [consumer.ledger.verdict_of(number) for number, part in plc.parts.items() if part is Part.OK]
    return sum(v is None or v.decision.outcome is not Outcome.OK or is_false_ok(v) for v in verdicts)
