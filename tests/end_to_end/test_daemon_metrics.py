"""The figures of a running station, as Prometheus reads them."""

from __future__ import annotations

import re
import socket
import urllib.request

from tiny_bundle import write_pictures


def test_prometheus_reads_totals_and_stages_of_a_running_station(bench, broker, listener):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    write_pictures(bench.pictures, "onox")
    bench.daemon(bench.station(broker.port, metrics=f"{{port: {port}}}"))
    listener.take("verdict/json", 4)
    listener.wait_for("state", b"NOTREADY;101;the source has no more pictures")
    body = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=15).read().decode()
    found = dict(re.findall(r"^(\S+) (\S+)$", body, re.M))
    where = 'cell="1",line="press"'
    outcomes = [float(found[f'edge_verdicts_total{{{where},outcome="{o}"}}']) for o in ("ok", "nok", "error")]
    assert outcomes == [2, 1, 1]
    for stage in ("capture", "prepare", "infer", "decide", "commit", "publish"):
        assert float(found[f'edge_stage_seconds_count{{{where},stage="{stage}"}}']) == 4
    assert float(found[f'edge_state{{{where},state="NOTREADY"}}']) == 1
