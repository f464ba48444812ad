"""The PLC's blocks of deploy/plc, both dialects, executed statement by statement: what they let pass, and what not."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.sample_verdict import sample_verdict
from tests.support.structured_text import blocks_from_text

from edge_runtime.records import Flag, Outcome
from edge_runtime.wire.verdict_ascii import encode_ascii
from edge_runtime.wire.verdict_binary import encode_binary

FOLDER = Path(__file__).parents[3] / "deploy/plc"
SOURCES = {path.name: path.read_text(encoding="ascii") for path in sorted(FOLDER.iterdir())}
BLOCKS = {name: blocks_from_text(text) for name, text in SOURCES.items()}
PART = b"PART-00000000007"


class FbVerdictAscii:
    """An instance of FB_VerdictAscii; returns xOk, and `outputs` are all."""

    def __init__(self, file):
        self.outputs, self._block = {}, BLOCKS[file]["FB_VerdictAscii"]()

    def __call__(self, data: bytes, part: bytes = PART) -> bool:
        self.outputs = self._block(abData=data, nLen=len(data), abPart=part.ljust(16))
        return bool(self.outputs["xOk"])

    @property
    def valid(self):
        return bool(self.outputs["xValid"])


class FbVerdictBin(FbVerdictAscii):
    """Likewise of FB_VerdictBin."""

    def __init__(self, file):
        self.outputs, self._block = {}, BLOCKS[file]["FB_VerdictBin"]()

    def __call__(self, data: bytes, trigger_id: int = 7) -> bool:
        self.outputs = self._block(abData=data, nLen=len(data), nTriggerId=trigger_id)
        return bool(self.outputs["xOk"])


@pytest.fixture(params=SOURCES)
def file(request):
    return request.param


def test_both_dialects_are_there_with_the_same_blocks():
    assert list(SOURCES) == ["edge_verdict.scl", "edge_verdict.st"]
    assert BLOCKS["edge_verdict.scl"].keys() == BLOCKS["edge_verdict.st"].keys()


def ok(seq, flags=0, part_id="PART-00000000007"):
    return replace(sample_verdict(seq=seq, outcome=Outcome.OK), flags=flags, part_id=part_id)


def damaged(record, offset, piece):
    return record[:offset] + piece + record[offset + len(piece) :]


RECORDS = [(FbVerdictAscii, encode_ascii), (FbVerdictBin, encode_binary)]


@pytest.mark.parametrize(("block", "encode"), RECORDS)
def test_a_fresh_ok_passes_once_and_nothing_else_does(file, block, encode):
    plc = block(file)
    assert plc(encode(ok(5)))
    assert not plc(encode(ok(5)))
    for seq, outcome in ((6, Outcome.NOK), (7, Outcome.ERROR)):
        assert not plc(encode(sample_verdict(seq=seq, outcome=outcome)))
        assert plc.valid
    assert plc(encode(ok(8)))


@pytest.mark.parametrize(("block", "encode"), RECORDS)
def test_what_is_delivered_again_after_a_later_one_does_not_pass(file, block, encode):
    plc = block(file)
    assert [plc(encode(ok(seq))) for seq in (5, 6, 5, 4, 6, 7)] == [True, True, False, False, False, True]


@pytest.mark.parametrize("flag", [Flag.LATE, Flag.REPLAY, Flag.SIMULATED, Flag.SHADOW, Flag.GOLDEN])
def test_a_flagged_ok_does_not_pass(file, flag):
    assert not FbVerdictBin(file)(encode_binary(ok(5, flags=flag)))


def test_another_parts_ok_does_not_pass_nor_one_without_a_name(file):
    assert not FbVerdictBin(file)(encode_binary(ok(5)), trigger_id=8)
    assert not FbVerdictAscii(file)(encode_ascii(ok(5)), part=b"PART-00000000008")
    assert not FbVerdictAscii(file)(encode_ascii(ok(5, part_id="")), part=b" " * 16)


@pytest.mark.parametrize("offset", [*range(2, 12), *range(17, 20), *range(21, 25), 26, *range(28, 32), 33,
                                    *range(35, 39), *range(40, 44)])  # fmt: skip
@pytest.mark.parametrize("character", [b"?", b"/", b":", b" ", b"\0", b"\xff"])
def test_a_number_with_a_character_that_is_no_digit_does_not_pass(file, offset, character):
    plc = FbVerdictAscii(file)
    assert not plc(damaged(encode_ascii(ok(5)), offset, character))
    assert not plc.valid


@pytest.mark.parametrize(
    ("offset", "piece"),
    [(26, b"1.?000"), (26, b"?.0001"), (33, b"1.?000"), (33, b"?.9999"), (26, b"2.0000"), (33, b"9.9999"),
     (2, b"9999999999"), (2, b"4294967296"), (2, b"8589934633"), (2, b"0000000000")],
)  # fmt: skip
def test_a_number_that_would_wrap_or_is_out_of_range_does_not_pass(file, offset, piece):
    plc = FbVerdictAscii(file)
    assert not plc(damaged(encode_ascii(ok(5)), offset, piece))
    assert not plc.valid


@pytest.mark.parametrize(("block", "encode"), RECORDS)
@pytest.mark.parametrize(("outcome", "step"), [(Outcome.NOK, 1), (Outcome.ERROR, 7)])
def test_no_flipped_bit_of_a_nok_or_an_error_passes(file, block, encode, outcome, step):
    record = encode(sample_verdict(outcome=outcome))
    for bit in range(0, len(record) * 8, step):
        flipped = bytearray(record)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not block(file)(bytes(flipped))


@pytest.mark.parametrize(("block", "encode"), RECORDS)
@pytest.mark.parametrize("change", [lambda r: r[:-1], lambda r: r + b" ", lambda r: b"", lambda r: bytes(len(r))])
def test_a_record_of_another_length_or_of_zeros_does_not_pass(file, block, encode, change):
    plc = block(file)
    assert not plc(change(encode(ok(5))))
    assert not plc.valid


def test_what_the_blocks_read_is_what_the_station_wrote(file):
    verdict = sample_verdict(seq=41)
    binary, text = FbVerdictBin(file), FbVerdictAscii(file)
    assert not binary(encode_binary(verdict))
    assert not text(encode_ascii(verdict))
    assert {key: binary.outputs[key] for key in ("xNok", "xError", "nSeq", "nError")} == {
        "xNok": 1, "xError": 0, "nSeq": 41, "nError": 0,
    }  # fmt: skip
    assert (text.outputs["xNok"], text.outputs["nSeq"], text.outputs["nScore"]) == (1, 41, 7312)
    error = sample_verdict(seq=42, outcome=Outcome.ERROR)
    assert not binary(encode_binary(error))
    assert not text(encode_ascii(error))
    assert [plc.outputs["nError"] for plc in (binary, text)] == [104, 104]
    assert [plc.outputs["xError"] for plc in (binary, text)] == [1, 1]


def test_the_crc_of_the_blocks_is_the_records(file):
    payload = encode_binary(sample_verdict())
    found = BLOCKS[file]["F_Crc32"]()(abData=payload, nLen=60)["F_Crc32"]
    assert found == zlib.crc32(payload[:60]) == struct.unpack(">I", payload[60:])[0]


def test_the_two_dialects_have_the_same_statements():
    def plain(text):
        """Without comments, declarations, blanks, and what one dialect writes and the other does not."""
        text = re.sub(r"\(\*.*?\*\)|//[^\n]*", "", text, flags=re.DOTALL)
        bodies = re.findall(r"END_VAR\s+(?:BEGIN)?((?:(?!VAR).)*?)END_FUNCTION", text, re.DOTALL)
        named = r"\b(?:abData|nLen|nFrom|n|IN|N) := (?=[^;]*\))"
        return [re.sub(r'[\s#"]|UDInt', "", re.sub(named, "", body)) for body in bodies]

    assert len(plain(SOURCES["edge_verdict.st"])) == 5
    assert plain(SOURCES["edge_verdict.scl"]) == plain(SOURCES["edge_verdict.st"])
