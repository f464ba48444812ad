"""The PLC's side: triggers, commands, acknowledgements, replay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.support.tiny_bundle import write_pictures

from edge_runtime.records import Flag, Outcome
from edge_runtime.wire.verdict_ascii import decode_ascii
from edge_runtime.wire.verdict_binary import decode_binary
from edge_runtime.wire.verdict_json import decode_json


@pytest.fixture
def triggered(bench, broker, listener):
    write_pictures(bench.pictures, "onx")
    daemon = bench.daemon(bench.station(broker.port, mode="triggered", recipe=12))
    listener.wait_state("READY")
    return daemon


def test_the_handshake_trigger_ack_verdict(triggered, listener):
    outcomes = []
    for trigger_id in (5, 6, 7):
        listener.send("trigger", f"{trigger_id};12;PART-{trigger_id}")
        assert listener.next_on("trigger/ack") == b"%d;ACCEPTED" % trigger_id
        verdict = decode_binary(listener.next_on("verdict/bin"))
        assert (verdict.trigger_id, verdict.part_id, verdict.recipe) == (trigger_id, f"PART-{trigger_id}", 12)
        outcomes.append(verdict.outcome)
        listener.next_on("state", lambda payload: payload.startswith((b"READY", b"DEGRADED")))
    assert outcomes == [Outcome.OK, Outcome.NOK, Outcome.ERROR]


def test_a_trigger_after_the_last_picture_is_answered_error_and_then_notready(triggered, listener):
    for trigger_id in (1, 2, 3):
        listener.send("trigger", f"{trigger_id};12;")
        listener.next_on("verdict")
        listener.next_on("state", lambda payload: payload.startswith((b"READY", b"DEGRADED")))
    listener.send("trigger", "4;12;")
    assert listener.next_on("trigger/ack") == b"4;ACCEPTED"
    assert decode_ascii(listener.next_on("verdict")).error == 101
    assert listener.wait_state("NOTREADY") == b"NOTREADY;101;the source has no more pictures"
    listener.send("trigger", "5;12;")
    assert listener.next_on("trigger/ack") == b"5;NOTREADY"
    listener.wait_for("counters", b"4;1;1;2;1;0;0")


def test_a_duplicate_gets_the_same_verdict_with_the_same_seq(triggered, listener):
    listener.send("trigger", "5;12;PART-5")
    first = listener.next_on("verdict/bin")
    listener.send("trigger", "5;12;PART-5")
    assert listener.next_on("trigger/ack", lambda p: b"ACCEPTED" not in p) == b"5;DUPLICATE"
    assert listener.next_on("verdict/bin") == first
    listener.send("trigger", "5;12;ANOTHER")
    assert listener.next_on("trigger/ack") == b"5;BADREQUEST;its id was used for another part or recipe just now"


def test_a_duplicate_is_recognised_after_a_kill_too(triggered, bench, listener):
    listener.send("trigger", "5;12;PART-5")
    first = decode_json(listener.next_on("verdict/json"))
    triggered.kill()
    listener.wait_state("OFFLINE")
    bench.daemon(bench.folder / "station.yaml")
    listener.wait_state("READY")
    listener.send("trigger", "5;12;PART-5")
    assert listener.next_on("trigger/ack") == b"5;DUPLICATE"
    again = decode_json(listener.next_on("verdict/json", lambda p: b'"trigger_id":5' in p))
    assert (again.seq, again.boot_id, again.decision.outcome) == (first.seq, first.boot_id, first.decision.outcome)


def test_a_trigger_that_a_kill_left_unanswered_is_error_302_after_the_restart(bench, broker, listener):
    # given a picture that takes a while to read
    bench.pictures.mkdir()
    cv2.imwrite(str(bench.pictures / "0.png"), np.full((8000, 8000, 3), 60, np.uint8))
    station = bench.station(broker.port, mode="triggered", recipe=12, deadline_ms=60_000)
    daemon = bench.daemon(station)
    listener.wait_state("READY")
    # when the daemon is killed after it accepted
    listener.send("trigger", "5;12;PART-5")
    assert listener.next_on("trigger/ack") == b"5;ACCEPTED"
    daemon.kill()
    listener.wait_state("OFFLINE")
    assert not [t for t, _, _ in listener.seen if t.endswith("/verdict/bin")]
    bench.daemon(station)
    # then the one verdict comes with the next start, and the same trigger gets it again
    verdict = decode_binary(listener.next_on("verdict/bin"))
    assert (verdict.trigger_id, verdict.part_id, verdict.outcome, verdict.error) == (5, "PART-5", Outcome.ERROR, 302)
    assert verdict.flags & ~Flag.UNSYNCED == Flag.REPLAY
    listener.send("trigger", "5;12;PART-5")
    assert listener.next_on("trigger/ack") == b"5;DUPLICATE"
    assert decode_binary(listener.next_on("verdict/bin")).seq == verdict.seq


def test_bad_triggers_are_answered_and_judged_by_nobody(triggered, listener):
    for payload, answer in ((b"8;13;p", b"8"), (b"junk", b"0"), (b"9;12;a;b", b"9")):
        listener.send("trigger", payload)
        assert listener.next_on("trigger/ack").startswith(answer + b";BADREQUEST;")
    listener.send("trigger", b"10;12;p")
    assert decode_binary(listener.next_on("verdict/bin")).trigger_id == 10
    assert decode_binary(next(p for t, p, _ in listener.seen if t.endswith("/verdict/bin"))).seq == 1


def test_a_retained_trigger_is_not_judged(bench, broker, listener):
    write_pictures(bench.pictures, "o")
    listener.send("trigger", "5;12;OLD", retain=True)
    listener.next_on("trigger")
    bench.daemon(bench.station(broker.port, mode="triggered", recipe=12))
    listener.wait_state("READY")
    listener.send("trigger", "6;12;NEW")
    assert listener.next_on("trigger/ack") == b"6;ACCEPTED"


def test_commands_are_obeyed_and_answered(triggered, listener):
    listener.send("command", "SELFTEST")
    assert listener.next_on("command/ack").startswith(b"SELFTEST;DONE;largest deviation")
    listener.send("command", "PAUSE")
    assert listener.wait_state("NOTREADY") == b"NOTREADY;000;paused"
    listener.send("trigger", "5;12;")
    assert listener.next_on("trigger/ack") == b"5;NOTREADY"
    listener.send("command", "RESUME")
    listener.wait_state("READY")
    listener.send("command", "RELOAD")
    assert listener.next_on("command/ack", lambda p: p.startswith(b"RELOAD")).startswith(b"RELOAD;DONE;tiny-1.0 serves")


def test_replay_gives_what_was_not_acknowledged(bench, broker, listener):
    write_pictures(bench.pictures, "on" * 10)
    bench.daemon(bench.station(broker.port))
    listener.take("verdict/json", 20)
    listener.send("verdict/ack", "12")
    listener.send("replay", "1;15")
    found = [decode_json(line) for line in listener.take("replay/data", 3)]
    assert [v.seq for v in found] == [13, 14, 15]
    assert all(v.flags & ~Flag.UNSYNCED == Flag.REPLAY | Flag.SIMULATED for v in found)


def test_the_heartbeat_counts(triggered, listener):
    beats = [int(beat) for beat in listener.take("heartbeat", 3)]
    assert beats == list(range(beats[0], beats[0] + 3))
