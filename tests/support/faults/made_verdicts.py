"""Verdicts of a line at work, to fill a spool with: 96 % OK, 3.5 % NOK with one to three regions, 0.5 % ERROR."""

from __future__ import annotations

import random
from pathlib import Path

from edge_runtime.records import Decision, ErrorCode, Outcome, Region, Timings, Verdict
from edge_runtime.storage.spool import Spool

BEGIN_MS = 1_760_000_000_000
PERIOD_MS = 100  # ten a second


def made_verdict(seq: int, boot_id: int, chance: random.Random, unix_ms: int) -> Verdict:
    """One verdict; every number in it is as long as a real one."""
    kind, raw = chance.random(), 30.0 + 60.0 * chance.random()
    timings = Timings(*(chance.randrange(low, 40 * low) for low in (900, 300, 5000, 50)))
    if kind < 0.96:
        decision = Decision(Outcome.OK, score=raw / (raw + 93.71), raw_score=raw, raw_threshold=93.71, timings=timings)
    elif kind < 0.995:
        found = (_region(chance) for _ in range(chance.randint(1, 3)))
        decision = Decision(
            *(Outcome.NOK, ErrorCode.NONE, 0.5 + raw / 200, 0.5, raw * 3, 93.71, tuple(found), timings),
        )
    else:
        decision = Decision(Outcome.ERROR, ErrorCode.FRAME_BLACK, detail="the brightest pixel is 0: check the light")
    return Verdict(
        seq=seq,
        decision=decision,
        bundle="gearbox-cover-left",
        bundle_version="2026.11.3",
        unix_ms=unix_ms,
        boot_id=boot_id,
        latency_us=chance.randrange(9_000, 300_000),
        trigger_id=seq,
        recipe=12,
        part_id=f"GBX-{chance.randrange(10**11):011d}",
        source=f"cam0/{seq:010d}.png",
    )


def fill(spool: Spool, count: int, seed: int = 0, last_ms: int | None = None) -> None:
    """Commit so many verdicts, ten a second of made time; last_ms: when the last of them was given."""
    chance, first = random.Random(seed), spool.next_seq
    begin_ms = BEGIN_MS if last_ms is None else last_ms - count * PERIOD_MS
    for seq in range(first, first + count):
        spool.commit(made_verdict(seq, spool.boot_id, chance, begin_ms + (seq - first) * PERIOD_MS))


def _region(chance: random.Random) -> Region:
    x, y, width, height = (chance.randrange(4, 900) for _ in range(4))
    return Region(x, y, width, height, width * height // 2, 0.5 + chance.random() / 2)


def folder_bytes(folder: Path) -> int:
    """What all files of a folder take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
