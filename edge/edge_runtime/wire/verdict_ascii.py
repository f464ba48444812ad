"""A verdict as the ASCII record of `/verdict`: 61 bytes, every field at a fixed place, `;` between.

version;seq(10);OK |NOK|ERR;error(3);recipe(4);score(6);threshold(6);latency_ms(4);part_id(16)

    1;0000000041;NOK;000;0012;0.7312;0.5000;0083;PART-00000000007

The printed score never contradicts the outcome: a NOK prints above the threshold, an OK at it or below.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TypeVar

from edge_runtime.errors import RecordError
from edge_runtime.records import Outcome, Verdict

ASCII_VERSION = "1"
ASCII_LENGTH = 61
PART_ID_LENGTH = 16
NAMES = {Outcome.OK: "OK ", Outcome.NOK: "NOK", Outcome.ERROR: "ERR"}
STEP = 10_000  # scores have four decimals

_RECORD = re.compile(
    rb"1;(?P<seq>\d{10});(?P<outcome>OK |NOK|ERR);(?P<error>\d{3});(?P<recipe>\d{4});(?P<score>[01]\.\d{4});"
    rb"(?P<threshold>[01]\.\d{4});(?P<latency_ms>\d{4});(?P<part_id>[ -:<-~]{16})"
)
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class AsciiVerdict:
    """What the ASCII record says. A latency of 9999 ms means that or more."""

    seq: int
    outcome: Outcome
    error: int
    recipe: int
    score: float
    threshold: float
    latency_ms: int
    part_id: str


def encode_ascii(verdict: Verdict) -> bytes:
    """The record of a verdict. Raises ValueError for a verdict without an outcome or with numbers out of range."""
    decision = verdict.decision
    if decision.outcome not in NAMES:
        raise ValueError(f"a verdict must be OK, NOK or ERROR, not {decision.outcome!r}")
    if not 0 < verdict.seq < 1 << 32 or not 0 <= verdict.recipe <= 9999:
        raise ValueError(f"seq {verdict.seq} or recipe {verdict.recipe} does not fit the record")
    threshold = round(decision.threshold * STEP)
    score = _printed_score(decision.outcome, decision.score, threshold)
    latency_ms = clamp(verdict.latency_us // 1000, 0, 9999)
    return (
        f"{ASCII_VERSION};{verdict.seq:010d};{NAMES[decision.outcome]};{decision.error:03d};{verdict.recipe:04d};"
        f"{score / STEP:.4f};{threshold / STEP:.4f};{latency_ms:04d};{printable_part_id(verdict.part_id):<16}"
    ).encode("ascii")


def decode_ascii(payload: bytes) -> AsciiVerdict:
    """Read a record. Raises RecordError for anything that the contract does not allow, so that doubt is never an OK."""
    found = _RECORD.fullmatch(payload)
    if found is None:
        raise RecordError(f"no ASCII verdict of version {ASCII_VERSION} ({ASCII_LENGTH} bytes): {payload[:80]!r}")
    verdict = AsciiVerdict(
        seq=int(found["seq"]),
        outcome=next(outcome for outcome, name in NAMES.items() if name.encode() == found["outcome"]),
        error=int(found["error"]),
        recipe=int(found["recipe"]),
        score=float(found["score"]),
        threshold=float(found["threshold"]),
        latency_ms=int(found["latency_ms"]),
        part_id=found["part_id"].decode("ascii").rstrip(),
    )
    if reason := contradiction(verdict.outcome, verdict.error, verdict.score, verdict.threshold):
        raise RecordError(f"the ASCII verdict contradicts itself ({reason}): {payload!r}")
    if not 0 < verdict.seq < 1 << 32:
        raise RecordError(f"the ASCII verdict has the impossible seq {verdict.seq}: {payload!r}")
    return verdict


def contradiction(outcome: Outcome, error: int, score: float, threshold: float) -> str | None:
    """Why an outcome cannot go with these numbers; None when it can. Both records obey it."""
    if (outcome is Outcome.ERROR) != (error != 0):
        return f"{outcome.name} with error code {error}"
    if outcome is Outcome.OK and not score <= threshold:
        return f"OK with a score {score} above its threshold {threshold}"
    if outcome is Outcome.NOK and not score > threshold:
        return f"NOK with a score {score} not above its threshold {threshold}"
    return None


def printable_part_id(part_id: str) -> str:
    """A part's name as records carry it: printable ASCII without `;`, 16 characters at most; `_` for all others."""
    return "".join(c if " " <= c <= "~" and c != ";" else "_" for c in part_id[:PART_ID_LENGTH])


def clamp(value: Number, lowest: Number, highest: Number) -> Number:
    """The value, or the limit that it passed."""
    return max(lowest, min(value, highest))


def _printed_score(outcome: Outcome, score: float, threshold: int) -> int:
    """In steps of 0.0001, rounded to the side that the outcome is on."""
    if outcome is Outcome.NOK:
        return clamp(math.ceil(score * STEP), threshold + 1, 2 * STEP - 1)
    steps = clamp(math.floor(score * STEP), 0, 2 * STEP - 1)
    return min(steps, threshold) if outcome is Outcome.OK else steps
