from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from tests.support.sample_verdict import DECISIONS, sample_verdict

from edge_runtime.errors import RecordError
from edge_runtime.records import ErrorCode, Outcome
from edge_runtime.wire.verdict_ascii import ASCII_LENGTH, decode_ascii, encode_ascii, printable_part_id

JUDGED = (Outcome.OK, Outcome.NOK, Outcome.ERROR)


def flipped(payload: bytes, bit: int) -> bytes:
    changed = bytearray(payload)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_the_record_is_the_one_in_the_contract():
    assert encode_ascii(sample_verdict()) == b"1;0000000041;NOK;000;0012;0.7312;0.5000;0083;PART-00000000007"
    assert len(encode_ascii(sample_verdict())) == ASCII_LENGTH <= 80


@pytest.mark.parametrize("outcome", JUDGED)
def test_what_was_encoded_decodes_to_the_same(outcome):
    verdict = sample_verdict(outcome=outcome)
    found = decode_ascii(encode_ascii(verdict))
    assert (found.seq, found.outcome, found.error) == (41, outcome, verdict.decision.error)
    assert (found.recipe, found.latency_ms, found.part_id) == (12, 83, "PART-00000000007")
    assert found.score == verdict.decision.score
    assert found.threshold == 0.5


@pytest.mark.parametrize("outcome", [Outcome.NOK, Outcome.ERROR])
def test_no_flipped_bit_turns_a_reject_into_ok(outcome):
    payload = encode_ascii(sample_verdict(outcome=outcome))
    for bit in range(len(payload) * 8):
        try:
            assert decode_ascii(flipped(payload, bit)).outcome is outcome
        except RecordError:
            continue


@pytest.mark.parametrize("payload", [b"", bytes(ASCII_LENGTH), b" " * ASCII_LENGTH, b"0" * ASCII_LENGTH])
def test_an_empty_or_constant_buffer_is_refused(payload):
    with pytest.raises(RecordError, match="no ASCII verdict of version 1"):
        decode_ascii(payload)


def test_every_truncation_and_every_extension_is_refused():
    payload = encode_ascii(sample_verdict(outcome=Outcome.OK))
    for wrong in [payload[:n] for n in range(len(payload))] + [payload + b"\n", payload + b" ", b" " + payload]:
        with pytest.raises(RecordError, match="no ASCII verdict"):
            decode_ascii(wrong)


@pytest.mark.parametrize(
    ("field", "wrong", "message"),
    [
        (b";OK ;000;", b";OK ;104;", "OK with error code 104"),
        (b";OK ;000;", b";ERR;000;", "ERROR with error code 0"),
        (b";0.3127;", b";0.5001;", "OK with a score 0.5001 above its threshold 0.5"),
        (b";OK ;", b";NOK;", "NOK with a score 0.3127 not above its threshold 0.5"),
        (b";0000000041;", b";0000000000;", "impossible seq 0"),
        (b";0000000041;", b";4294967296;", "impossible seq 4294967296"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(field, wrong, message):
    payload = encode_ascii(sample_verdict(outcome=Outcome.OK))
    assert field in payload
    with pytest.raises(RecordError, match=re.escape(message)):
        decode_ascii(payload.replace(field, wrong))


def test_the_printed_score_never_contradicts_the_outcome():
    near = [0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1), 0.49996, 0.50004, 0.0, 1.0]
    for score in near + list(np.random.default_rng(0).random(2000)):
        for outcome in (Outcome.OK, Outcome.NOK):
            verdict = sample_verdict()
            decision = replace(DECISIONS[outcome], score=float(score))
            found = decode_ascii(encode_ascii(replace(verdict, decision=decision)))
            assert (found.score > found.threshold) == (outcome is Outcome.NOK)


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("PART-7", "PART-7"),
        ("a;b", "a_b"),
        ("Stück\n1", "St_ck_1"),
        ("0123456789abcdefXYZ", "0123456789abcdef"),
        ("", ""),
    ],
)
def test_a_part_id_becomes_printable_ascii_of_sixteen_characters(given, printed):
    assert printable_part_id(given) == printed
    found = decode_ascii(encode_ascii(replace(sample_verdict(), part_id=given)))
    assert found.part_id == printed


def test_long_latencies_stop_at_the_field_width():
    assert decode_ascii(encode_ascii(replace(sample_verdict(), latency_us=99_999_999))).latency_ms == 9999


def test_every_error_code_fits_its_three_digits():
    for code in ErrorCode:
        if code is not ErrorCode.NONE:
            decision = replace(DECISIONS[Outcome.ERROR], error=code)
            assert decode_ascii(encode_ascii(replace(sample_verdict(), decision=decision))).error == code


def test_a_verdict_without_outcome_or_with_impossible_numbers_is_not_encoded():
    undecided = replace(sample_verdict(), decision=replace(DECISIONS[Outcome.OK], outcome=Outcome.NONE))
    with pytest.raises(ValueError, match="must be OK, NOK or ERROR"):
        encode_ascii(undecided)
    with pytest.raises(ValueError, match="seq 0 or recipe 12 does not fit"):
        encode_ascii(replace(sample_verdict(), seq=0))
    with pytest.raises(ValueError, match="recipe 10000 does not fit"):
        encode_ascii(replace(sample_verdict(), recipe=10_000))
