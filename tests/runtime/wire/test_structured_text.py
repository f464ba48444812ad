"""The Structured Text of docs/how-to/connect-a-plc.md, copied line by line: what it lets pass, and what it must not."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.sample_verdict import sample_verdict

from edge_runtime.records import Flag, Outcome
from edge_runtime.wire.verdict_ascii import encode_ascii
from edge_runtime.wire.verdict_binary import encode_binary

PAGE = (Path(__file__).parents[3] / "docs/how-to/connect-a-plc.md").read_text(encoding="utf-8")
UDINT = 1 << 32  # arithmetic wraps here
PART = b"PART-00000000007"


def f_digits(data: bytes, start: int, n: int) -> int:
    """F_Digits, line by line."""
    result = 0
    for i in range(start, start + n):
        if data[i] < 0x30 or data[i] > 0x39:
            return 4294967295
        if result > 429496728:
            return 4294967295
        result = (result * 10 + data[i] - 48) % UDINT
    return result


class FbVerdictAscii:
    """FB_VerdictAscii, line by line. Returns xOk; `valid` is xValid."""

    def __init__(self):
        self.last_seq, self.valid = 0, False

    def __call__(self, data: bytes, part: bytes = PART) -> bool:
        self.valid = False
        if len(data) != 61 or data[0] != 0x31:
            return False
        if any(data[i] != 0x3B for i in (1, 12, 16, 20, 25, 32, 39, 44)) or data[27] != 0x2E or data[34] != 0x2E:
            return False
        seq = f_digits(data, 2, 10)
        error = f_digits(data, 17, 3)
        score1 = f_digits(data, 26, 1)
        score4 = f_digits(data, 28, 4)
        limit1 = f_digits(data, 33, 1)
        limit4 = f_digits(data, 35, 4)
        if seq == 4294967295 or seq <= self.last_seq:
            return False
        if error > 999 or score1 > 1 or score4 > 9999 or limit1 > 1 or limit4 > 9999:
            return False
        if f_digits(data, 21, 4) > 9999 or f_digits(data, 40, 4) > 9999:
            return False
        score = (score1 * 10000 + score4) % UDINT
        if part[0] == 0x20:
            return False
        for i in range(16):
            if data[45 + i] != part[i]:
                return False
        self.last_seq = seq
        self.valid = True
        return data[13:16] == b"OK " and error == 0 and score <= (limit1 * 10000 + limit4) % UDINT


class FbVerdictBin:
    """FB_VerdictBin, line by line. Returns xOk; `valid` is xValid."""

    def __init__(self):
        self.last_seq, self.valid = 0, False

    def __call__(self, data: bytes, trigger_id: int = 7) -> bool:
        def u32(n: int) -> int:
            return data[n] * 16777216 + data[n + 1] * 65536 + data[n + 2] * 256 + data[n + 3]

        self.valid = False
        if len(data) != 64:
            return False
        if zlib.crc32(data[:60]) != u32(60):  # F_Crc32 has its own test
            return False
        if data[0] != 1 or data[2] != ~data[1] & 0xFF:
            return False
        seq = u32(4)
        if seq == 0 or seq != u32(56):
            return False
        if u32(8) != trigger_id:
            return False
        if seq <= self.last_seq:
            return False
        flags, error = data[3], data[12] * 256 + data[13]
        self.last_seq = seq
        self.valid = True
        return data[1] == 1 and error == 0 and flags & 0x1F == 0


def ok(seq, flags=0, part_id="PART-00000000007"):
    return replace(sample_verdict(seq=seq, outcome=Outcome.OK), flags=flags, part_id=part_id)


def damaged(record, offset, piece):
    return record[:offset] + piece + record[offset + len(piece) :]


BLOCKS = [(FbVerdictAscii, encode_ascii), (FbVerdictBin, encode_binary)]


@pytest.mark.parametrize(("block", "encode"), BLOCKS)
def test_a_fresh_ok_passes_once_and_nothing_else_does(block, encode):
    plc = block()
    assert plc(encode(ok(5)))
    assert not plc(encode(ok(5)))
    for seq, outcome in ((6, Outcome.NOK), (7, Outcome.ERROR)):
        assert not plc(encode(sample_verdict(seq=seq, outcome=outcome)))
        assert plc.valid
    assert plc(encode(ok(8)))


@pytest.mark.parametrize(("block", "encode"), BLOCKS)
def test_what_is_delivered_again_after_a_later_one_does_not_pass(block, encode):
    plc = block()
    assert [plc(encode(ok(seq))) for seq in (5, 6, 5, 4, 6, 7)] == [True, True, False, False, False, True]


@pytest.mark.parametrize("flag", [Flag.LATE, Flag.REPLAY, Flag.SIMULATED, Flag.SHADOW, Flag.GOLDEN])
def test_a_flagged_ok_does_not_pass(flag):
    assert not FbVerdictBin()(encode_binary(ok(5, flags=flag)))


def test_another_parts_ok_does_not_pass_nor_one_without_a_name():
    assert not FbVerdictBin()(encode_binary(ok(5)), trigger_id=8)
    assert not FbVerdictAscii()(encode_ascii(ok(5)), part=b"PART-00000000008")
    assert not FbVerdictAscii()(encode_ascii(ok(5, part_id="")), part=b" " * 16)


@pytest.mark.parametrize("offset", [*range(2, 12), *range(17, 20), *range(21, 25), 26, *range(28, 32), 33,
                                    *range(35, 39), *range(40, 44)])  # fmt: skip
@pytest.mark.parametrize("character", [b"?", b"/", b":", b" ", b"\0", b"\xff"])
def test_a_number_with_a_character_that_is_no_digit_does_not_pass(offset, character):
    plc = FbVerdictAscii()
    assert not plc(damaged(encode_ascii(ok(5)), offset, character))
    assert not plc.valid


@pytest.mark.parametrize(
    ("offset", "piece"),
    [(26, b"1.?000"), (26, b"?.0001"), (33, b"1.?000"), (33, b"?.9999"), (26, b"2.0000"), (33, b"9.9999"),
     (2, b"9999999999"), (2, b"4294967296"), (2, b"8589934633"), (2, b"0000000000")],
)  # fmt: skip
def test_a_number_that_would_wrap_or_is_out_of_range_does_not_pass(offset, piece):
    plc = FbVerdictAscii()
    assert not plc(damaged(encode_ascii(ok(5)), offset, piece))
    assert not plc.valid


def test_no_flipped_bit_of_a_nok_or_an_error_passes_in_either_record():
    for block, encode in BLOCKS:
        for outcome in (Outcome.NOK, Outcome.ERROR):
            record = encode(sample_verdict(outcome=outcome))
            for bit in range(len(record) * 8):
                flipped = bytearray(record)
                flipped[bit // 8] ^= 1 << bit % 8
                assert not block()(bytes(flipped))


@pytest.mark.parametrize(
    "line",
    [
        "IF F_Digits > 429496728 THEN F_Digits := 4294967295; RETURN; END_IF",
        "IF nSeq <= nLastSeq THEN RETURN; END_IF",
        "IF nSeq = 4294967295 OR nSeq <= nLastSeq THEN RETURN; END_IF",
        "IF nError > 999 OR nScore1 > 1 OR nScore4 > 9999 OR nLimit1 > 1 OR nLimit4 > 9999 THEN RETURN; END_IF",
        "IF F_Digits(abData, 21, 4) > 9999 OR F_Digits(abData, 40, 4) > 9999 THEN RETURN; END_IF",
        "IF abPart[0] = 16#20 THEN RETURN; END_IF",
        "AND nError = 0 AND nScore <= nLimit1 * 10000 + nLimit4;",
        "(nFlags AND 16#1F) = 16#00;",
    ],
)
def test_the_page_has_the_lines_that_the_copy_relies_on(line):
    assert line in PAGE


def test_the_crc_of_the_record_is_the_one_that_the_copy_takes():
    payload = encode_binary(sample_verdict())
    assert zlib.crc32(payload[:60]) == struct.unpack(">I", payload[60:])[0]
