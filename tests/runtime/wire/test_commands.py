from __future__ import annotations

import pytest

from edge_runtime.errors import RecordError
from edge_runtime.wire.commands import (
    Command,
    SeqRange,
    Trigger,
    command_from_payload,
    seq_from_payload,
    seq_range_from_payload,
    trigger_from_payload,
    trigger_id_of,
    without_folders,
)
from edge_runtime.wire.topics import MAX_LENGTH, Topics


def test_a_trigger_is_read():
    assert trigger_from_payload(b"41;0012;PART-7") == Trigger(41, 12, "PART-7")
    assert trigger_from_payload(b"4294967295;0;") == Trigger(4294967295, 0, "")


@pytest.mark.parametrize(
    "payload",
    [b"", b"41", b"41;12", b"0;12;p", b"4294967296;12;p", b"-1;12;p", b"41;12;a;b", b"41;12;\xff", b"41;12;p\n",
     b"\0" * 8, b"41;123456;p", b"41;12;" + b"p" * 17],
)  # fmt: skip
def test_what_is_no_trigger_is_refused(payload):
    with pytest.raises(RecordError, match="is no trigger: `trigger_id;recipe;part_id`"):
        trigger_from_payload(payload)


@pytest.mark.parametrize(
    ("payload", "trigger_id"), [(b"41;x", 41), (b"x", 0), (b"", 0), (b"99999999999;1;p", 0), (b"41", 41)]
)
def test_a_bad_trigger_is_answered_under_its_id_as_far_as_it_has_one(payload, trigger_id):
    assert trigger_id_of(payload) == trigger_id


def test_acknowledgements_and_replays_are_read():
    assert seq_from_payload(b"0000000041") == 41
    assert seq_range_from_payload(b"3;7") == SeqRange(3, 7)


@pytest.mark.parametrize("payload", [b"", b"x", b"-1", b"4294967296", b"1;2", b" 1"])
def test_what_is_no_acknowledgement_is_refused(payload):
    with pytest.raises(RecordError, match="is no acknowledgement"):
        seq_from_payload(payload)


@pytest.mark.parametrize("payload", [b"", b"1", b"7;3", b"1;x", b"1;2;3", b"1;4294967296"])
def test_what_is_no_replay_request_is_refused(payload):
    with pytest.raises(RecordError, match="is no replay request"):
        seq_range_from_payload(payload)


def test_commands_are_read_and_others_refused_with_those_known():
    assert [command_from_payload(c.value.encode()) for c in Command] == list(Command)
    for payload in (b"selftest", b"", b"\xff", b"PAUSE "):
        with pytest.raises(RecordError, match="is no command: SELFTEST, PAUSE, RESUME, RELOAD"):
            command_from_payload(payload)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("/var/lib/edge/bundles/screw-2/model.fp32.onnx is missing", "model.fp32.onnx is missing"),
        ("ca '/etc/tls/ca.pem' (/tmp/x), and/or 3/4", "ca 'ca.pem' (x), and/or 3/4"),
        ("nothing in /", "nothing in /"),
    ],
)
def test_a_reply_names_files_without_their_folders(text, short):
    assert without_folders(text) == short


def test_every_topic_of_the_longest_names_fits_the_smallest_plc():
    topics = Topics("l" * 20, "c" * 20)
    for name in (n for n in vars(Topics) if isinstance(getattr(Topics, n), property) and n != "subscriptions"):
        topic = getattr(topics, name)
        assert topic.startswith("ev1/" + "l" * 20 + "/" + "c" * 20 + "/")
        assert len(topic.encode("ascii")) <= MAX_LENGTH
