from __future__ import annotations

import socket
import threading
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import replace

import pytest
from tests.support.sample_verdict import sample_verdict, seen_verdict

from edge_runtime.bundle.manifest import FrameLimits
from edge_runtime.errors import ConfigError
from edge_runtime.monitoring.bounded_http import MOST
from edge_runtime.monitoring.counters import CounterValues
from edge_runtime.monitoring.prometheus import STAGES, Metrics, Sample, serve_metrics, temperatures
from edge_runtime.records import Outcome, Timings
from edge_runtime.wire.commands import Reply
from edge_runtime.wire.states import State

COUNTERS = CounterValues(ok=5, nok=2, error=1, missed=3, late=1, spooled=4, discarded=6)
SAMPLE = Sample(COUNTERS, {Reply.BUSY: 3, Reply.BADREQUEST: 7}, State.BUSY, 2, "screw-2", "fp16")


@pytest.fixture
def metrics(tmp_path):
    (tmp_path / "thermal_zone0").mkdir()
    (tmp_path / "thermal_zone0/type").write_text("GPU-therm\n")
    (tmp_path / "thermal_zone0/temp").write_text("48500\n")
    (tmp_path / "thermal_zone1").mkdir()  # switched off: nothing to read
    metrics = Metrics("press", "1")
    metrics.add_sample(lambda: SAMPLE, tmp_path)
    return metrics


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, {"line": "press", "cell": "1", **labels})


def test_totals_state_queue_spool_and_temperature_are_read_when_somebody_asks(metrics):
    assert [value(metrics, "edge_verdicts_total", outcome=o) for o in ("ok", "nok", "error")] == [5, 2, 1]
    assert value(metrics, "edge_missed_triggers_total") == 3
    assert [value(metrics, "edge_refused_triggers_total", answer=a) for a in ("BUSY", "BADREQUEST")] == [3, 7]
    assert value(metrics, "edge_late_verdicts_total") == 1
    assert value(metrics, "edge_discarded_results_total") == 6
    assert value(metrics, "edge_spooled_verdicts") == 4
    assert value(metrics, "edge_triggers_in_hand") == 2
    assert [value(metrics, "edge_state", state=s.value) for s in (State.BUSY, State.READY)] == [1, 0]
    assert value(metrics, "edge_bundle_info", bundle="screw-2", precision="fp16") == 1
    assert value(metrics, "edge_temperature_celsius", zone="GPU-therm") == 48.5


def test_each_stage_has_its_histogram(metrics):
    metrics.observe_verdict(sample_verdict())
    metrics.observe_publish(250)
    expected = {"capture": 900, "prepare": 200, "infer": 9000, "decide": 80, "commit": 110, "publish": 250}
    for stage, microseconds in expected.items():
        assert value(metrics, "edge_stage_seconds_count", stage=stage) == 1
        assert value(metrics, "edge_stage_seconds_sum", stage=stage) == pytest.approx(microseconds / 1e6)
    assert value(metrics, "edge_latency_seconds_sum") == pytest.approx(0.083456)


@pytest.mark.parametrize(
    ("timings", "took_place"),
    [
        (Timings(capture_us=900, commit_us=110), {"capture", "commit"}),  # too dark to be judged
        (Timings(commit_us=110), {"commit"}),  # the camera delivered nothing
    ],
)
def test_a_part_that_was_not_judged_does_not_count_as_judged_within_no_time(metrics, timings, took_place):
    verdict = sample_verdict(outcome=Outcome.ERROR)
    metrics.observe_verdict(replace(verdict, decision=replace(verdict.decision, timings=timings)))
    counts = {stage: value(metrics, "edge_stage_seconds_count", stage=stage) for stage in STAGES}
    assert counts == {stage: float(stage in took_place) for stage in STAGES}
    assert value(metrics, "edge_latency_seconds_count") == 1


def test_a_scraper_gets_them_over_http(metrics):
    with serve_metrics(metrics, "127.0.0.1", 0) as port:
        body = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=15).read().decode()
    assert 'edge_verdicts_total{cell="1",line="press",outcome="ok"} 5.0' in body


def test_a_port_that_is_taken_is_reported(metrics):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"metrics\.port {port} of 127\.0\.0\.1 cannot be used: Address already"):
            serve_metrics(metrics, "127.0.0.1", port).__enter__()


def test_a_machine_without_thermal_zones_has_no_temperatures(tmp_path):
    assert list(temperatures(tmp_path)) == []


def test_how_far_parts_are_off_is_reported_where_a_view_knows(metrics, tmp_path):
    assert value(metrics, "edge_part_offset_pixels") is None
    moved = Metrics("press", "1")
    moved.add_sample(lambda: replace(SAMPLE, part_offset=6.5), tmp_path)
    assert value(moved, "edge_part_offset_pixels") == 6.5


def test_the_limits_stand_beside_what_they_limit_and_those_of_parts_only_where_a_view_finds_them(metrics, tmp_path):
    assert value(metrics, "edge_part_quality_limit") is None
    limits = FrameLimits(brightness_low=40.0, saturated_high=0.6, sharpness_low=0.14)
    limited = Metrics("press", "1")
    limited.add_sample(lambda: replace(SAMPLE, limits=limits, part_quality_low=0.55), tmp_path)
    names = ("frame_brightness", "frame_saturated_ratio", "frame_sharpness", "part_quality")
    assert [value(limited, f"edge_{name}_limit") for name in names] == [40.0, 0.6, 0.14, 0.55]


def test_a_verdict_feeds_the_figures_of_pictures(metrics):
    metrics.observe_verdict(seen_verdict())
    assert value(metrics, "edge_score_count") == 1
    assert value(metrics, "edge_frame_brightness_count") == 1


def test_what_the_source_left_out_is_counted_by_reason(metrics, tmp_path):
    assert value(metrics, "edge_source_left_out_total", why="dropped") is None
    camera = Metrics("press", "1")
    camera.add_sample(lambda: replace(SAMPLE, left_out={"dropped": 12, "late": 1}), tmp_path)
    assert [value(camera, "edge_source_left_out_total", why=why) for why in ("dropped", "late")] == [12, 1]


def test_idle_connections_take_a_bounded_number_of_threads_and_a_scraper_gets_through(metrics):
    with serve_metrics(metrics, "127.0.0.1", 0) as port, ExitStack() as stack:
        before = threading.active_count()
        for _ in range(100):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            idle.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        body = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=15).read().decode()
        assert "edge_verdicts_total" in body
        deadline = time.monotonic() + 5
        while threading.active_count() > before + MOST + 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert threading.active_count() <= before + MOST + 1
