"""Two stations by mistake with one state_dir: what the one left there never goes out as the other's."""

from __future__ import annotations

import subprocess
import sys

from tests.support.tiny_bundle import write_pictures

from edge_runtime.records import Flag
from edge_runtime.wire.verdict_json import decode_json


def test_another_stations_verdicts_wait_for_their_own_station(bench, broker, listener):
    write_pictures(bench.pictures, "on" * 6)
    own = bench.station(1)  # where no broker is
    daemon = bench.daemon(own, "--verbose")
    daemon.read_until("verdict 12 ")
    assert daemon.terminate() == 0, daemon.log
    assert (bench.folder / "state/station.txt").read_text() == "press/1\n"

    text = bench.station(broker.port).read_text()
    other = bench.folder / "other.yaml"
    other.write_text(text.replace("cell: '1'", "cell: '9'"))
    refused = bench.daemon(other, "--once")
    assert refused.wait() == 78, refused.log
    logged = (
        f"state_dir {bench.folder}/state belongs to station press/1 (its verdicts that wait for the broker: 12), and "
        "this is press/9: give press/9 a state_dir of its own; or, if press/1 was renamed to press/9, remove "
    )
    assert logged in refused.log
    check = [sys.executable, "-c", "from edge_runtime.cli import main; main()", "check", str(other)]
    found = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert found.returncode == 78
    assert f"WRONG  {logged}" in found.stdout

    for path in bench.pictures.iterdir():
        path.unlink()
    write_pictures(bench.pictures, "o")
    again = bench.daemon(own, "--once")
    assert again.wait() == 0, again.log
    verdicts = [decode_json(line) for line in listener.take("verdict/json", 13)]
    assert sorted(v.seq for v in verdicts) == list(range(1, 14))
    assert all(v.flags & Flag.REPLAY for v in verdicts if v.seq <= 12)
    assert all(topic.startswith("ev1/press/1/") for topic, _, _ in listener.seen)
