"""docs/reference/mqtt.md is what a PLC is programmed from: its tables must be what the code does."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from tests.support.sample_verdict import sample_verdict

from edge_runtime.inspection.judge import scaled_score
from edge_runtime.records import ErrorCode, Flag
from edge_runtime.wire.commands import Command, Reply
from edge_runtime.wire.states import State
from edge_runtime.wire.topics import Topics
from edge_runtime.wire.verdict_ascii import encode_ascii
from edge_runtime.wire.verdict_binary import encode_binary
from edge_runtime.wire.verdict_json import encode_json

PAGE = (Path(__file__).parents[3] / "docs/reference/mqtt.md").read_text(encoding="utf-8")
BYTES = {"u8": ">B", "u16": ">H", "u32": ">I", "f32": ">f", "16 bytes": ">16s"}


def rows(heading):
    """The cells of the first table under a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n##")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_error_codes_are_all_there_and_no_others():
    assert [(int(code), name) for code, name, _ in rows("Error codes")] == [(c.value, c.name) for c in ErrorCode]


def test_the_states_are_all_there_and_no_others():
    assert {row[1].strip("`") for row in rows("States")} == {state.value for state in State}


def test_the_topics_are_all_there_and_no_others():
    topics = Topics("l", "c")
    names = [name for name in vars(Topics) if isinstance(getattr(Topics, name), property) and name != "subscriptions"]
    known = {getattr(topics, name).removeprefix("ev1/l/c") for name in names}
    assert {row[0].strip("`") for row in rows("Topics")} == known


@pytest.mark.parametrize("words", [Reply, Command])
def test_every_word_of_the_contract_is_explained(words):
    assert all(f"`{word.value}`" in PAGE or f";{word.value}`" in PAGE for word in words)


def test_the_flags_are_those_of_the_code():
    flags = next(row for row in rows("The binary record") if row[2] == "flags")[3]
    assert flags == ", ".join(f"{flag.value} {flag.name.lower()}" for flag in Flag)


def test_every_flag_is_defined():
    assert [row[0] for row in rows("Flags")] == [flag.name.lower() for flag in Flag]


def test_the_offsets_of_the_binary_record_are_those_of_the_code():
    table = rows("The binary record")
    sizes = [struct.calcsize(BYTES[row[1]]) for row in table]
    offsets = [int(row[0]) for row in table]
    assert all(after - before == size for (before, after), size in zip(pairwise(offsets), sizes, strict=False))
    assert offsets[-1] + sizes[-1] == 64
    payload = encode_binary(sample_verdict())
    found = {row[2]: struct.unpack_from(BYTES[row[1]], payload, int(row[0]))[0] for row in table}
    assert (found["seq"], found["trigger_id"], found["recipe"], found["latency_us"]) == (41, 7, 12, 83_456)
    assert (found["boot_id"], found["unix_s"], found["ms"], found["seq_copy"]) == (3, 1_750_000_000, 123, 41)
    assert (found["verdict"], found["complement"], found["part_id"]) == (2, 253, b"PART-00000000007")


def test_the_offsets_of_the_ascii_record_are_those_of_the_code():
    payload = encode_ascii(sample_verdict()).decode()
    assert payload in PAGE
    fields = [payload[int(offset) : int(offset) + int(length)] for offset, length, *_ in rows("The ASCII record")]
    assert fields == payload.split(";")


def test_the_keys_of_the_json_line_are_all_explained():
    explained = {key for row in rows("The JSON line") for key in re.findall(r"`(\w+)`", row[0])}
    keys = re.findall(
        rb'"(\w+)":', encode_json(replace(sample_verdict(), decision=replace(sample_verdict().decision, regions=())))
    )
    assert explained == {key.decode() for key in keys}


@pytest.mark.parametrize(("raw", "threshold"), [(0.0, 3.0), (3.0, 3.0), (7.25, 3.0), (0.1, 40.0)])
def test_how_the_scaled_score_follows_from_the_raw_one_and_back_is_what_the_code_does(raw, threshold):
    scaled, back = (
        next(row for row in rows("The JSON line") if row[0] == f"`{n}score`, `{n}threshold`") for n in ("", "raw_")
    )
    names = {"raw_score": raw, "raw_threshold": threshold, "score": scaled_score(raw, threshold)}
    assert eval(scaled[1].split("`")[1], names.copy()) == names["score"]
    assert eval(back[1].split("`")[1], names.copy()) == pytest.approx(raw)
