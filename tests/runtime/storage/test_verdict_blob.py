from __future__ import annotations

import zlib
from contextlib import suppress
from dataclasses import replace

import pytest
from tests.support.kept_verdicts import ERROR, NOK, OK, PACKED
from tests.support.sample_verdict import sample_verdict

from edge_runtime.errors import RecordError
from edge_runtime.records import Outcome
from edge_runtime.storage import verdict_blob as verdict_pack
from edge_runtime.storage.schema import SCHEMA_VERSION
from edge_runtime.storage.verdict_blob import pack_verdict, unpack_verdict


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.NOK, Outcome.ERROR])
def test_a_verdict_comes_back_as_it_was(outcome):
    verdict = sample_verdict(outcome=outcome)
    assert unpack_verdict(pack_verdict(verdict)) == verdict


def test_texts_that_a_line_cuts_come_back_cut():
    verdict = sample_verdict(outcome=Outcome.ERROR)
    long = replace(verdict, source="y" + "s" * 256, decision=replace(verdict.decision, detail="d" * 256 + "y"))
    cut = replace(verdict, source="s" * 256, decision=replace(verdict.decision, detail="d" * 256))
    assert unpack_verdict(pack_verdict(long)) == cut


def test_no_flipped_bit_gives_another_verdict():
    verdict = sample_verdict(outcome=Outcome.NOK)
    packed = pack_verdict(verdict)
    for position in range(len(packed)):
        for bit in range(8):
            damaged = bytes([*packed[:position], packed[position] ^ 1 << bit, *packed[position + 1 :]])
            with suppress(RecordError):  # a few bits of the format mean nothing
                assert unpack_verdict(damaged) == verdict


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: p + b"x", lambda p: b"", lambda p: bytes(len(p))])
def test_what_is_cut_or_longer_is_refused(change):
    with pytest.raises(RecordError, match="is damaged"):
        unpack_verdict(change(pack_verdict(sample_verdict())))


def test_the_dictionary_belongs_to_the_schema_version():
    # What is in the field was packed with it: another one needs another schema version, and a way from this to that.
    assert (SCHEMA_VERSION, zlib.crc32(verdict_pack._DICTIONARY)) == (2, 1776755666)


@pytest.mark.parametrize("verdict", [OK, NOK, ERROR], ids=lambda verdict: verdict.decision.outcome.name)
def test_what_a_daemon_of_before_packed_is_read(verdict):
    assert unpack_verdict(PACKED[verdict.seq]) == verdict
