"""A verdict as the binary record of `/verdict/bin`: 64 bytes, big-endian, made for a PLC's fixed buffer.

It says its outcome twice (one is the complement), its number twice (the second at the end, so that a half-written
buffer shows) and ends with a CRC-32. A zeroed, torn or bit-flipped buffer does not decode.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass

from edge_runtime.errors import RecordError
from edge_runtime.records import Flag, Outcome, Verdict
from edge_runtime.wire.verdict_ascii import clamp, contradiction, printable_part_id

BINARY_VERSION = 1
BINARY_LENGTH = 64
U32 = (1 << 32) - 1
KNOWN_FLAGS = sum(Flag)

# version, verdict, complement, flags, seq, trigger_id, error, recipe, score, threshold, latency_us, boot_id, part_id,
# unix_s, ms, spare, seq copy; the CRC follows
_BODY = struct.Struct(">BBBBIIHHffII16sIHHI")


@dataclass(frozen=True)
class BinaryVerdict:
    """What the binary record says."""

    seq: int
    outcome: Outcome
    flags: int
    trigger_id: int
    error: int
    recipe: int
    score: float
    threshold: float
    latency_us: int
    boot_id: int
    part_id: str
    unix_ms: int


def encode_binary(verdict: Verdict) -> bytes:
    """The record of a verdict. Raises ValueError for a verdict without an outcome or with numbers out of range."""
    decision = verdict.decision
    if decision.outcome is Outcome.NONE:
        raise ValueError("a verdict must be OK, NOK or ERROR, not NONE")
    threshold = float32(decision.threshold)
    score = _float32_on_its_side(decision.outcome, decision.score, threshold)
    try:
        body = _BODY.pack(
            BINARY_VERSION,
            decision.outcome,
            ~decision.outcome & 0xFF,
            verdict.flags,
            verdict.seq,
            verdict.trigger_id,
            decision.error,
            verdict.recipe,
            score,
            threshold,
            clamp(verdict.latency_us, 0, U32),
            verdict.boot_id & U32,
            printable_part_id(verdict.part_id).ljust(16).encode("ascii"),
            verdict.unix_ms // 1000,
            verdict.unix_ms % 1000,
            0,
            verdict.seq,
        )
    except struct.error as error:
        raise ValueError(f"a number of verdict {verdict.seq} does not fit the record: {error}") from error
    return body + struct.pack(">I", zlib.crc32(body))


def decode_binary(payload: bytes) -> BinaryVerdict:
    """Read a record. Raises RecordError for anything that the contract does not allow, so that doubt is never an OK."""
    if len(payload) != BINARY_LENGTH:
        raise RecordError(f"a binary verdict has {BINARY_LENGTH} bytes, this has {len(payload)}")
    body, (crc,) = payload[:-4], struct.unpack(">I", payload[-4:])
    if crc != zlib.crc32(body):
        raise RecordError(
            f"the binary verdict is damaged: its CRC-32 is {crc:08X}, the bytes give {zlib.crc32(body):08X}"
        )
    (version, outcome, complement, flags, seq, trigger_id, error, recipe, score, threshold, latency_us, boot_id,
     part_id, unix_s, ms, spare, seq_copy) = _BODY.unpack(body)  # fmt: skip
    verdict = BinaryVerdict(
        seq=seq,
        outcome=Outcome(outcome) if outcome in (1, 2, 3) else Outcome.NONE,
        flags=flags,
        trigger_id=trigger_id,
        error=error,
        recipe=recipe,
        score=score,
        threshold=threshold,
        latency_us=latency_us,
        boot_id=boot_id,
        part_id=part_id.decode("latin-1").rstrip(),
        unix_ms=unix_s * 1000 + ms,
    )
    problems = (
        (version != BINARY_VERSION, f"version {version}, not {BINARY_VERSION}"),
        (verdict.outcome is Outcome.NONE, f"verdict byte {outcome}, not 1, 2 or 3"),
        (complement != ~outcome & 0xFF, f"verdict byte {outcome} with complement {complement}"),
        (seq == 0 or seq != seq_copy, f"seq {seq} with copy {seq_copy}"),
        (bool(flags & ~KNOWN_FLAGS), f"unknown flags {flags}"),
        (spare != 0, f"spare bytes {spare}"),
        (ms > 999, f"{ms} milliseconds"),
        (not math.isfinite(score) or not math.isfinite(threshold), f"score {score}, threshold {threshold}"),
        (printable_part_id(verdict.part_id) != verdict.part_id, f"part_id {part_id!r}"),
    )
    broken = [text for wrong, text in problems if wrong]
    if reason := "; ".join(broken) or contradiction(verdict.outcome, error, score, threshold):
        raise RecordError(f"the binary verdict contradicts the contract ({reason})")
    return verdict


def float32(value: float) -> float:
    """The nearest number that four bytes can hold."""
    return float(struct.unpack(">f", struct.pack(">f", value))[0])


def _float32_on_its_side(outcome: Outcome, score: float, threshold: float) -> float:
    """The score in four bytes; where rounding would carry it over the threshold, the number next to the threshold."""
    rounded = float32(score)
    if outcome is Outcome.NOK and rounded <= threshold:
        (bits,) = struct.unpack(">I", struct.pack(">f", threshold))
        return float(struct.unpack(">f", struct.pack(">I", bits + 1))[0])
    return min(rounded, threshold) if outcome is Outcome.OK else rounded
