"""Free-running: every picture is judged once, whatever happens to the broker or the daemon."""

from __future__ import annotations

import time

import cv2
import pytest
from tests.support.tiny_bundle import picture, write_pictures

from edge_runtime.records import ErrorCode, Flag, Outcome
from edge_runtime.wire.verdict_ascii import decode_ascii
from edge_runtime.wire.verdict_binary import decode_binary
from edge_runtime.wire.verdict_json import decode_json

STOP_WITHIN_S = 2.0
LETTERS = {"o": Outcome.OK, "n": Outcome.NOK, "x": Outcome.ERROR}


def test_every_picture_gets_exactly_one_verdict_the_same_in_all_three_records(bench, broker, listener):
    outcomes = "onoxnoon" * 4
    write_pictures(bench.pictures, outcomes)
    daemon = bench.daemon(bench.station(broker.port), "--once")
    assert daemon.wait() == 0, daemon.log
    listener.wait_state("OFFLINE")
    found = {
        topic: [p for t, p, _ in listener.seen if t == f"ev1/press/1/{topic}"]
        for topic in ("verdict", "verdict/bin", "verdict/json", "counters", "state", "heartbeat")
    }
    verdicts = [decode_json(line) for line in found["verdict/json"]]
    assert [v.decision.outcome for v in verdicts] == [LETTERS[letter] for letter in outcomes]
    assert [v.source for v in verdicts] == [f"{n:04d}.png" for n in range(len(outcomes))]
    assert [v.seq for v in verdicts] == list(range(1, len(outcomes) + 1))
    for records in (map(decode_ascii, found["verdict"]), map(decode_binary, found["verdict/bin"])):
        assert [(r.seq, r.outcome) for r in records] == [(v.seq, v.decision.outcome) for v in verdicts]
    # A recording: no PLC may release a part by it.
    assert all(v.flags & Flag.SIMULATED for v in (*verdicts, *map(decode_binary, found["verdict/bin"])))
    assert found["counters"][-1] == b"32;16;12;4;0;0;0"
    assert all(int(c[0]) == sum(map(int, c[1:4])) for c in (s.split(b";") for s in found["counters"]))
    assert "stopped after 32 verdicts: 16 OK, 12 NOK, 4 ERROR; 0 wait for the broker" in daemon.log


def test_an_unreadable_picture_is_an_error_verdict_that_says_why(bench, broker, listener):
    write_pictures(bench.pictures, "xxx")  # at a rate that lets the broker hear of the state between two of them
    assert bench.daemon(bench.station(broker.port, source=", fps: 3"), "--once").wait() == 0
    verdict = decode_json(listener.next_on("verdict/json"))
    assert verdict.decision.error is ErrorCode.FRAME_UNREADABLE
    assert "0000.png is no PNG, JPEG, BMP or TIFF picture" in verdict.decision.detail
    listener.wait_state("OFFLINE")  # whatever came before it is in `seen`, on whichever side of the verdict
    assert ("ev1/press/1/state", b"DEGRADED;102;tiny-1.0: the last verdict was ERROR", False) in listener.seen


def test_a_video_is_judged_frame_by_frame(bench, broker, listener):
    writer = cv2.VideoWriter(str(bench.folder / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
    for number in range(5):
        writer.write(picture(number == 2, number))
    writer.release()
    daemon = bench.daemon(bench.station(broker.port, "video://v.avi", source=", fps: 50"), "--once")
    assert daemon.wait() == 0, daemon.log
    found = [decode_json(line) for line in listener.take("verdict/json", 5)]
    assert [v.decision.outcome.name for v in found] == ["OK", "OK", "NOK", "OK", "OK"]
    assert found[2].source == "v.avi#3"


@pytest.mark.alone
@pytest.mark.parametrize("mqtt", ["", ", protocol: '5'"])
def test_sigterm_finishes_says_offline_and_exits_0_within_two_seconds(bench, broker, listener, mqtt):
    write_pictures(bench.pictures, "on")
    daemon = bench.daemon(bench.station(broker.port, source=", loop: true, fps: 100", mqtt=mqtt))
    listener.wait_state("READY")
    listener.take("verdict", 3)
    began = time.monotonic()
    assert daemon.terminate() == 0, daemon.log
    assert time.monotonic() - began < STOP_WITHIN_S
    assert listener.wait_state("OFFLINE") == b"OFFLINE;000;stopped"
    seqs = [decode_ascii(p).seq for t, p, _ in listener.seen if t == "ev1/press/1/verdict"]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_killed_daemon_is_offline_by_its_last_will_and_its_numbers_go_on(bench, broker, listener):
    write_pictures(bench.pictures, "on")
    station = bench.station(broker.port, source=", loop: true, fps: 200")
    seen = {}
    for boot in (1, 2, 3):
        daemon = bench.daemon(station)
        fresh = 0
        while fresh < 20:  # what the one before had sent when it was killed may still stand in the line
            verdict = decode_json(listener.next_on("verdict/json"))
            fresh += verdict.boot_id == boot
            known = seen.setdefault(verdict.seq, verdict)
            # A verdict that was sent shortly before the kill may come again; it must be the same one.
            assert (known.boot_id, known.source, known.decision.outcome) == (
                verdict.boot_id,
                verdict.source,
                verdict.decision.outcome,
            )
        daemon.kill()
        assert listener.wait_state("OFFLINE") == b"OFFLINE;000;connection lost"
    assert {v.boot_id for v in seen.values()} == {1, 2, 3}
    assert min(seen) == 1


def test_every_verdict_arrives_although_the_broker_dies_in_the_middle(bench, broker, listener):
    write_pictures(bench.pictures, "on" * 60)
    bench.daemon(bench.station(broker.port, source=", fps: 60"))
    seqs = [decode_json(line).seq for line in listener.take("verdict/json", 20)]
    broker.stop()
    broker.start()
    listener.wait_subscribed()
    listener.next_on("counters", lambda payload: payload == b"120;60;60;0;0;0;0")
    seqs = [decode_json(p).seq for t, p, _ in listener.seen if t == "ev1/press/1/verdict/json"]
    # What the broker had confirmed and not passed on died with it: a consumer sees the gap and asks for it.
    missing = sorted(set(range(1, 121)) - set(seqs))
    for seq in missing:
        listener.send("replay", f"{seq};{seq}")
    replayed = [decode_json(line) for line in listener.take("replay/data", len(missing))]
    assert [v.seq for v in replayed] == missing
    assert all(v.flags & Flag.REPLAY for v in replayed)


def test_without_a_broker_verdicts_are_kept_and_go_out_when_it_comes(bench, broker):
    write_pictures(bench.pictures, "onx")
    broker.stop()
    daemon = bench.daemon(bench.station(broker.port), "--once", "--verbose")
    daemon.read_until(f"broker 127.0.0.1:{broker.port}: nobody listens there: check that the broker runs")
    broker.start()
    assert daemon.wait() == 0, daemon.log
    assert f"broker 127.0.0.1:{broker.port} is there; 3 verdicts wait for it" in daemon.log


@pytest.mark.alone
def test_a_stop_without_a_broker_keeps_the_verdicts_for_the_next_start(bench, broker, listener):
    write_pictures(bench.pictures, "onx")
    port = broker.port
    daemon = bench.daemon(bench.station(1), "--once", "--verbose")
    daemon.read_until("verdict 3 ERROR 102: ")  # each is logged when it is on the disk, though nobody hears of it
    began = time.monotonic()
    assert daemon.terminate() == 0
    assert time.monotonic() - began < STOP_WITHIN_S
    daemon = bench.daemon(bench.station(port), "--once")
    assert daemon.wait() == 0, daemon.log
    listener.wait_state("OFFLINE")
    verdicts = [decode_json(p) for t, p, _ in listener.seen if t == "ev1/press/1/verdict/json"]
    assert sorted({v.seq for v in verdicts}) == list(range(1, len(verdicts) + 1))  # each once
    assert [v.source for v in verdicts if v.boot_id == 2] == ["0000.png", "0001.png", "0002.png"]


def test_a_station_that_cannot_begin_leaves_the_state_as_it_was(bench, broker, listener):
    write_pictures(bench.pictures, "o")
    station = bench.station(broker.port)
    assert bench.daemon(station, "--once").wait() == 0
    listener.wait_state("OFFLINE")
    (bench.folder / "bundle/manifest.json").write_text("{")
    daemon = bench.daemon(station)
    assert daemon.wait() == 78
    assert "manifest.json is not a manifest" in daemon.log
    listener.send("state", b"the next one", retain=True)
    assert listener.next_on("state") == b"the next one"  # nothing came between


def test_a_reload_after_an_edit_of_the_stations_file_says_what_a_restart_would_apply(bench, broker, listener):
    write_pictures(bench.pictures, "o")
    bench.daemon(bench.station(broker.port, mode="triggered", recipe=12))
    listener.wait_state("READY")
    bench.station(broker.port, mode="triggered", recipe=13, deadline_ms=700)
    listener.send("command", "RELOAD")
    listener.wait_for("command/ack", b"RELOAD;DONE;tiny-1.0 serves, restart to apply recipe, deadline_ms")
    listener.wait_for("state", b"READY;000;tiny-1.0: restart to apply recipe, deadline_ms")
    bench.station(broker.port, mode="triggered", recipe=12)
    listener.send("command", "RELOAD")
    listener.wait_for("command/ack", b"RELOAD;DONE;tiny-1.0 serves")
    listener.wait_for("state", b"READY;000;tiny-1.0")
