"""The clock is set while the station works: durations, deadlines and numbers do not notice."""

from __future__ import annotations

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
