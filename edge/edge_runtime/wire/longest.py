"""The longest JSON line that a verdict can have, and a usual one: what a broker must take, by making it."""

from __future__ import annotations

from edge_runtime.records import Decision, ErrorCode, Flag, Outcome, Region, Timings, Verdict
from edge_runtime.wire.verdict_json import TEXT_LENGTH, encode_json

REGIONS = 8  # at most, of a NOK
NAME_LENGTH, VERSION_LENGTH = 40, 20  # of a bundle
U32 = (1 << 32) - 1


def longest_line() -> bytes:
    """Every number with all its digits, every text at its full length, of characters that JSON writes in 12 bytes."""
    worst = "\U0001f529" * TEXT_LENGTH
    return _line(worst, worst, -1.2345678901234567e-100, U32)


def usual_line() -> bytes:
    """A NOK with all its regions, and names of files as people give them."""
    return _line("bad/2026-11-27/000000041.png", "", 0.7312345678901234, 100_000)


def _line(source: str, detail: str, number: float, count: int) -> bytes:
    region = Region(count, count, count, count, count, number)
    return encode_json(
        Verdict(
            seq=U32,
            decision=Decision(
                outcome=Outcome.ERROR,
                error=max(ErrorCode, key=lambda code: len(code.name)),
                score=number,
                threshold=number,
                raw_score=number,
                raw_threshold=number,
                regions=(region,) * REGIONS,
                timings=Timings(*[count] * 6),
                detail=detail,
            ),
            bundle="n" * NAME_LENGTH,
            bundle_version="v" * VERSION_LENGTH,
            unix_ms=10**13 - 1,
            boot_id=U32,
            latency_us=count,
            trigger_id=U32,
            recipe=9999,
            part_id='"' * 16,
            flags=int(sum(Flag)),
            source=source,
            picture="f" * 64,
        )
    )
