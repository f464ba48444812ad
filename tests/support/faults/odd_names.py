"""Pictures whose names are no text: bytes that are not UTF-8, control characters, escapes, the longest there are. A
machine triggers on them, the daemon is killed again and again, and every verdict must come back from the spool.
"""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.storage.recovery import SET_ASIDE
from tests.support.faults.consumer import Consumer
from tests.support.faults.ledger import Account
from tests.support.faults.stand import Stand

BETWEEN = 40  # triggers from one kill to the next
READY_S = 20.0
NAMES = (
    b"latin-\xe9t\xe9", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80 surrogate", b"\xc0\xafoverlong", b"\xf5\x80\x80\x80",
    b"a\nREADY;000;forged", b"\x1b[2J\x1b]0;title\x07", b"\r\x08\x08", b";OK ;000;", b"\xe2\x80\xaegnp", b"\x7f\x01",
    "\u00fc\u4e2d\U0001f600".encode(), b" ", b"%s%n{}", b"x" * 230, b"\xff" * 230,
)  # fmt: skip


@dataclass(frozen=True)
class OddNames:
    """What came of it."""

    names: int
    kills: int
    spools_set_aside: int
    unreadable: int  # messages that a consumer could not read
    exits: tuple[int, ...]  # other than by our own signals
    account: Account

    @property
    def is_clean(self) -> bool:
        """Whether every verdict was committed, kept and read as any other."""
        return self.account.is_clean and not (self.spools_set_aside or self.unreadable or self.exits)


def name_pictures_oddly(folder: Path, count: int, seed: int = 0) -> OddNames:
    """At least so many triggers on pictures of all these names, good, defective and unreadable ones."""
    chance, kills, exits = random.Random(seed), 0, list[int]()
    with Stand(folder, "ondongon" * 4) as stand:
        names = _rename(folder / "pictures")
        consumer = Consumer(stand.broker.port)
        station = stand.write_station()
        stand.start(station)
        consumer.wait_state("READY", READY_S)
        consumer.start_machine()
        while len(consumer.ledger) < count:
            consumer.wait_more(BETWEEN, READY_S)
            time.sleep(chance.uniform(0.0, 0.05))
            number = chance.choice((signal.SIGKILL, signal.SIGTERM))
            found = stand.kill(number)
            if found not in (0, -signal.SIGKILL):
                exits.append(found)
            kills += 1
            consumer.forget_states()
            stand.start(station)
            consumer.wait_state("READY", READY_S)
        consumer.stop_machine()
        consumer.wait_until_quiet()
        consumer.close()
        aside = len(list((folder / "state").glob(f"{SET_ASIDE}*")))
    account = consumer.ledger.account()
    return OddNames(names, kills, aside, len(consumer.unreadable), tuple(exits), account)


def _rename(folder: Path) -> int:
    """Give the pictures of a folder odd names that still end in what they show; returns how many names there are."""
    pictures = sorted(folder.iterdir())
    for number, path in enumerate(pictures):
        kind = path.stem.partition("-")[2].encode()
        name = b"%02d%s-%s.png" % (number, NAMES[number % len(NAMES)][:200], kind)
        path.rename(folder / os.fsdecode(name))
    return min(len(pictures), len(NAMES))
