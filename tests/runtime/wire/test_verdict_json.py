from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from tests.support.kept_verdicts import ERROR, LINES, NOK, OK
from tests.support.sample_verdict import sample_verdict

from edge_runtime.errors import RecordError
from edge_runtime.records import Decision, Outcome, Region, Timings, Verdict
from edge_runtime.wire.verdict_json import decode_json, encode_json


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.NOK, Outcome.ERROR])
def test_what_was_encoded_decodes_to_the_very_same(outcome):
    verdict = sample_verdict(outcome=outcome)
    assert decode_json(encode_json(verdict)) == verdict


def test_it_is_one_ascii_line_without_space_between_tokens():
    line = encode_json(replace(sample_verdict(outcome=Outcome.OK), source="Prüfling 1.png"))
    assert line.isascii()
    assert b"\n" not in line
    assert json.dumps(json.loads(line), separators=(",", ":")).encode() == line


def test_long_texts_are_cut_to_what_a_plc_string_holds():
    line = json.loads(encode_json(replace(sample_verdict(), source="x/" * 400 + "007.png", part_id="p" * 400)))
    assert len(line["source"]) == len(line["part_id"]) == 256
    assert line["source"].endswith("007.png")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"seq":41', b'"seq":"41"', "seq: Input should be a valid integer"),
        (b'"seq":41', b'"seq":41,"extra":1', "extra: Extra inputs are not permitted"),
        (b'"version":1', b'"version":2', "version: Input should be 1"),
        (b'"NOK"', b'"GOOD"', "outcome: Input should be 'OK', 'NOK' or 'ERROR'"),
        (b'"error":0,', b'"error":999,', "unknown error code 999"),
        (b'"error":0,', b'"error":101,', "NOK with error code 101"),
        (b'"seq":41,', b"", "seq: Field required"),
    ],
)
def test_a_line_that_is_not_by_the_contract_is_refused(old, new, message):
    line = encode_json(sample_verdict())
    assert old in line
    with pytest.raises(RecordError, match=message):
        decode_json(line.replace(old, new))


def test_half_a_line_is_refused():
    with pytest.raises(RecordError, match="Invalid JSON"):
        decode_json(encode_json(sample_verdict())[:100])


@pytest.mark.parametrize("verdict", [OK, NOK, ERROR], ids=lambda verdict: verdict.decision.outcome.name)
def test_lines_of_daemons_of_before_are_read_and_still_written_byte_by_byte(verdict):
    assert decode_json(LINES[verdict.seq]) == verdict
    assert encode_json(verdict) == LINES[verdict.seq]


@pytest.mark.parametrize("key", [b'"publish_us":0,', b',"picture":""'])
def test_a_line_from_before_a_key_existed_is_read(key):
    assert decode_json(LINES[1].replace(key, b"")) == OK


def test_every_field_of_a_verdict_its_decision_and_its_timings_is_a_key_of_the_line():
    parts = {field.name for record in (Verdict, Decision, Timings) for field in fields(record)}
    carried_otherwise = {"decision", "timings", "anomaly_map", "place", "measurement"}  # taken apart, and not kept
    added = {"version", "error_name"}
    assert parts - carried_otherwise == set(json.loads(LINES[1])) - added
    assert {field.name for field in fields(Region)} == set(json.loads(LINES[2])["regions"][0])
