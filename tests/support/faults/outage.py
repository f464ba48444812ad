"""A day without a broker: 864,000 verdicts, ten a second, go into the spool, and every one of them comes out again."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.storage.recovery import open_spool
from edge_runtime.storage.retention import MB, Retention
from tests.support.faults.made_verdicts import BEGIN_MS, PERIOD_MS, folder_bytes, made_verdict

LIMIT_MB = 250
READ = 1000


@dataclass(frozen=True)
class Outage:
    """What a day in the spool took."""

    verdicts: int
    megabytes: float  # of all files in the folder, the log included
    bytes_per_verdict: float
    commits_per_s: float
    opened_in_s: float  # the next start, with its check of the whole file
    lost_or_changed: int

    @property
    def is_clean(self) -> bool:
        """Whether it fitted, and came back as it was."""
        return self.megabytes <= LIMIT_MB and not self.lost_or_changed


def spool_a_day(folder: Path, count: int, seed: int = 0) -> Outage:
    """Commit them as fast as the disk can, tidy as the daemon does, open the spool again and compare all of them."""
    retention = Retention(max_bytes=LIMIT_MB * MB)
    began_s, chance = time.monotonic(), random.Random(seed)
    with open_spool(folder, retention) as spool:
        for seq in range(1, count + 1):
            unix_ms = BEGIN_MS + seq * PERIOD_MS
            spool.commit(made_verdict(seq, 1, chance, unix_ms))
            if seq % 500 == 0:
                spool.tidy(0)
    took_s, taken = time.monotonic() - began_s, folder_bytes(folder)
    began_s = time.monotonic()
    with open_spool(folder, retention) as spool:
        opened_s, chance, wrong = time.monotonic() - began_s, random.Random(seed), 0
        for first in range(1, count + 1, READ):
            found = {v.seq: v for v in spool.undelivered(first, first + READ - 1, READ)}
            for seq in range(first, min(first + READ, count + 1)):
                wrong += found.get(seq) != made_verdict(seq, 1, chance, BEGIN_MS + seq * PERIOD_MS)
    return Outage(
        count, round(taken / MB, 1), round(taken / count, 1), round(count / took_s), round(opened_s, 2), wrong
    )
