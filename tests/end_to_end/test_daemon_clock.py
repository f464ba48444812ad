"""The clock is set while the station works: durations, deadlines and numbers do not notice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.support.tiny_bundle import write_pictures

from edge_runtime.records import Flag
from edge_runtime.wire.verdict_binary import decode_binary

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@pytest.mark.skipif(FAKETIME is None, reason="needs libfaketime: apt-get install libfaketime")
def test_steps_of_the_clock_in_both_directions_make_no_verdict_late_and_no_number_twice(
    bench, broker, listener, tmp_path, monkeypatch
):
    write_pictures(bench.pictures, "onon")
    offset = tmp_path / "offset"
    offset.write_text("+0")
    settings = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    bench.daemon(bench.station(broker.port, mode="triggered", recipe=12, deadline_ms=5000))
    for name in settings:
        monkeypatch.delenv(name)
    listener.wait_state("READY")
    found = []
    for trigger_id, step in enumerate(("+0", "+7200", "-86400", "+0"), start=1):
        offset.write_text(step)
        listener.send("trigger", f"{trigger_id};12;PART-{trigger_id}")
        assert listener.next_on("trigger/ack") == b"%d;ACCEPTED" % trigger_id
        found.append(decode_binary(listener.next_on("verdict/bin")))
        listener.wait_state("READY")
    assert [v.seq for v in found] == [1, 2, 3, 4]
    assert not any(v.flags & (Flag.LATE | Flag.REPLAY) for v in found)
    assert all(v.latency_us < 5_000_000 for v in found)
    hours = [round((v.unix_ms - found[0].unix_ms) / 3_600_000) for v in found]
    assert hours == [0, 2, -24, 0]  # the stamps follow the clock that people set


@pytest.mark.skipif(FAKETIME is None, reason="needs libfaketime: apt-get install libfaketime")
@pytest.mark.parametrize("step", ["-1h", "+1h"])
def test_a_clock_that_is_wrong_after_a_restart_brings_no_old_answer_back_unflagged_and_no_second_number(
    bench, broker, listener, step
):
    write_pictures(bench.pictures, "on")
    station = bench.station(broker.port, mode="triggered", recipe=12, duplicate_window_s=6)
    daemon = bench.daemon(station)
    listener.wait_state("READY")
    for trigger_id in (1, 2):
        if trigger_id == 2:
            time.sleep(5)  # the first one's window is over soon
        listener.send("trigger", f"{trigger_id};12;")
        first = decode_binary(listener.next_on("verdict/bin"))
        listener.wait_state("READY")
    daemon.terminate()
    listener.wait_state("OFFLINE")
    time.sleep(1.2)

    wrong = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": step, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    bench.daemon(station, **wrong)
    listener.wait_state("READY")
    listener.send("trigger", "1;12;")
    assert listener.next_on("trigger/ack", lambda p: p.startswith(b"1;")) == b"1;ACCEPTED"  # a new part
    again = decode_binary(listener.next_on("verdict/bin"))
    assert (again.trigger_id, again.seq, again.flags & Flag.REPLAY) == (1, 3, 0)
    listener.wait_state("READY")
    # The second one is a duplicate if the restart was quick enough for its window; its old answer comes flagged.
    listener.send("trigger", "2;12;")
    reply = listener.next_on("trigger/ack", lambda p: p.startswith(b"2;"))
    known = decode_binary(listener.next_on("verdict/bin"))
    expected = {b"2;DUPLICATE": (2, first.seq, Flag.REPLAY), b"2;ACCEPTED": (2, 4, 0)}
    assert (known.trigger_id, known.seq, known.flags & Flag.REPLAY) == expected[reply]
