"""The figures of a running station, as Prometheus reads them."""

from __future__ import annotations

import re
import time
import urllib.request

from tests.support.ports import free_port
from tests.support.tiny_bundle import write_pictures


def scraped(port):
    body = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=15).read().decode()
    return dict(re.findall(r"^(\S+) (\S+)$", body, re.M))


def test_prometheus_reads_totals_and_stages_of_a_running_station(bench, broker, listener):
    port = free_port()
    write_pictures(bench.pictures, "onox")
    bench.daemon(bench.station(broker.port, metrics=f"{{port: {port}}}"))
    listener.take("verdict/json", 4)
    listener.wait_for("state", b"NOTREADY;101;the source has no more pictures")
    where = 'cell="1",line="press"'
    deadline = time.monotonic() + 15
    while float((found := scraped(port))[f'edge_stage_seconds_count{{{where},stage="publish"}}']) < 4:
        assert time.monotonic() < deadline  # counted when the broker acknowledges, which a listener may be ahead of
        time.sleep(0.05)
    outcomes = [float(found[f'edge_verdicts_total{{{where},outcome="{o}"}}']) for o in ("ok", "nok", "error")]
    assert outcomes == [2, 1, 1]
    for stages, count in (
        (("capture", "commit", "publish"), 4),
        (("prepare", "infer", "decide"), 3),
    ):  # x is no picture
        for stage in stages:
            assert float(found[f'edge_stage_seconds_count{{{where},stage="{stage}"}}']) == count
    assert float(found[f'edge_state{{{where},state="NOTREADY"}}']) == 1
    scores = [float(found[f'edge_score_bucket{{cell="1",le="{le}",line="press"}}']) for le in ("0.5", "+Inf")]
    assert scores == [2, 3]
    assert float(found[f"edge_frame_brightness_count{{{where}}}"]) == 3


def test_log_and_figures_say_which_bundle_serves_before_and_after_a_reload(bench, broker, listener):
    port = free_port()
    write_pictures(bench.pictures, "o")
    daemon = bench.daemon(bench.station(broker.port, metrics=f"{{port: {port}}}", mode="triggered"))
    listener.wait_state("READY")

    def serving():
        return [key for key in scraped(port) if key.startswith("edge_bundle_info")]

    assert serving() == ['edge_bundle_info{bundle="tiny-1.0",cell="1",line="press",precision="fp32"}']
    manifest = bench.folder / "bundle/manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": "1.0"', '"version": "2.0"'))
    listener.send("command", "RELOAD")
    listener.wait_for("command/ack", b"RELOAD;DONE;tiny-2.0 serves")
    assert serving() == ['edge_bundle_info{bundle="tiny-2.0",cell="1",line="press",precision="fp32"}']
    assert daemon.terminate() == 0
    logged = re.findall(r"^INFO bundle (\S+) serves: fp32, threshold 128, by onnxruntime", daemon.log, re.M)
    assert logged == ["tiny-1.0", "tiny-2.0"]
