from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from tests.support.sample_verdict import DECISIONS, sample_verdict

from edge_runtime.errors import RecordError
from edge_runtime.records import Flag, Outcome
from edge_runtime.wire.verdict_binary import decode_binary, encode_binary

JUDGED = (Outcome.OK, Outcome.NOK, Outcome.ERROR)


def sealed(body: bytes) -> bytes:
    """A body with the CRC that belongs to it, so that what else is wrong must be noticed."""
    return body + struct.pack(">I", zlib.crc32(body))


def changed(payload: bytes, offset: int, value: bytes) -> bytes:
    return sealed(payload[:offset] + value + payload[offset + len(value) : 60])


@pytest.mark.parametrize("outcome", JUDGED)
def test_what_was_encoded_decodes_to_the_same(outcome):
    verdict = replace(sample_verdict(outcome=outcome), flags=Flag.LATE | Flag.REPLAY)
    found = decode_binary(encode_binary(verdict))
    assert (found.seq, found.outcome, found.error) == (41, outcome, verdict.decision.error)
    assert (found.trigger_id, found.recipe, found.flags, found.boot_id) == (7, 12, 3, 3)
    assert (found.latency_us, found.part_id, found.unix_ms) == (83_456, "PART-00000000007", verdict.unix_ms)
    assert found.score == pytest.approx(verdict.decision.score, rel=1e-7)  # four bytes hold seven digits
    assert found.threshold == 0.5


def test_every_field_stands_where_the_contract_says():
    payload = encode_binary(sample_verdict())
    assert len(payload) == 64
    assert payload[:4] == bytes([1, 2, 0xFD, 0])
    assert struct.unpack_from(">II", payload, 4) == (41, 7)
    assert struct.unpack_from(">HH", payload, 12) == (0, 12)
    assert struct.unpack_from(">ff", payload, 16) == (pytest.approx(0.7312), 0.5)
    assert struct.unpack_from(">II", payload, 24) == (83_456, 3)
    assert payload[32:48] == b"PART-00000000007"
    assert struct.unpack_from(">IHHI", payload, 48) == (1_750_000_000, 123, 0, 41)
    assert struct.unpack_from(">I", payload, 60)[0] == zlib.crc32(payload[:60])


@pytest.mark.parametrize("outcome", JUDGED)
def test_none_of_the_512_bits_can_flip_unnoticed(outcome):
    payload = encode_binary(sample_verdict(outcome=outcome))
    for bit in range(512):
        flipped = bytearray(payload)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RecordError, match="damaged"):
            decode_binary(bytes(flipped))


@pytest.mark.parametrize("fill", [0x00, 0xFF, 0x55, 0x01])
def test_a_constant_buffer_is_refused(fill):
    with pytest.raises(RecordError):
        decode_binary(bytes([fill]) * 64)


def test_zeros_are_refused_even_with_their_own_crc():
    with pytest.raises(RecordError, match=r"version 0, not 1; verdict byte 0"):
        decode_binary(sealed(bytes(60)))


def test_every_torn_buffer_is_refused():
    old = encode_binary(sample_verdict(seq=40, outcome=Outcome.OK, unix_ms=1_749_999_999_877))
    new = encode_binary(sample_verdict(seq=41, outcome=Outcome.NOK))
    for cut in range(1, 64):
        torn = new[:cut] + old[cut:]
        if torn not in (old, new):
            with pytest.raises(RecordError):
                decode_binary(torn)


def test_every_wrong_length_is_refused():
    payload = encode_binary(sample_verdict())
    for wrong in [payload[:n] for n in range(64)] + [payload + b"\0"]:
        with pytest.raises(RecordError, match=f"has 64 bytes, this has {len(wrong)}"):
            decode_binary(wrong)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, b"\x02", "version 2, not 1"),
        (1, b"\x00", "verdict byte 0, not 1, 2 or 3"),
        (1, b"\x01", "verdict byte 1 with complement 253"),
        (1, b"\x01\xfe", "OK with a score"),
        (3, b"\x80", "unknown flags 128"),
        (4, b"\0\0\0\x2a", "seq 42 with copy 41"),
        (12, b"\0\x65", "NOK with error code 101"),
        (16, struct.pack(">f", float("nan")), "score nan"),
        (16, struct.pack(">f", 0.5), "not above its threshold"),
        (20, struct.pack(">f", float("inf")), "threshold inf"),
        (32, b"\x00", "part_id"),
        (52, b"\x03\xe8", "1000 milliseconds"),
        (54, b"\0\x01", "spare bytes 1"),
    ],
)
def test_a_record_with_a_valid_crc_must_still_make_sense(offset, value, message):
    with pytest.raises(RecordError, match=message):
        decode_binary(changed(encode_binary(sample_verdict()), offset, value))


def test_the_score_in_four_bytes_never_contradicts_the_outcome():
    near = [0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1), 0.5 + 1e-9, 0.0, 1.0]
    for score in near + list(np.random.default_rng(0).random(500)):
        for outcome in (Outcome.OK, Outcome.NOK):
            decision = replace(DECISIONS[outcome], score=float(score))
            found = decode_binary(encode_binary(replace(sample_verdict(), decision=decision)))
            assert (found.score > found.threshold) == (outcome is Outcome.NOK)


def test_numbers_that_do_not_fit_are_not_encoded():
    with pytest.raises(ValueError, match="does not fit the record"):
        encode_binary(replace(sample_verdict(), trigger_id=1 << 32))
    with pytest.raises(ValueError, match="not NONE"):
        encode_binary(replace(sample_verdict(), decision=replace(DECISIONS[Outcome.OK], outcome=Outcome.NONE)))
