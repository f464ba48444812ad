"""What `edge-daemon check` finds besides the bundle, the source and the broker (test_cli.py, test_daemon_broker.py)."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path

import pytest
from station_stage import ScriptedEngine
from tiny_bundle import write_bundle

from edge_runtime.errors import ConfigError, StorageError
from edge_runtime.hardware import Hardware
from edge_runtime.metrics import Metrics, Sample, serve_metrics
from edge_runtime.preflight import Rating, check_bundle, check_metrics, check_state_dir, deadline_finding
from edge_runtime.states import State
from edge_runtime.station import MetricsSettings, MqttSettings, SourceSettings, Station
from edge_runtime.tally import Counters


def station(folder, **settings):
    return Station(
        **{"line": "press", "cell": "1", "bundle": folder / "bundle", "source": SourceSettings(uri="folder://x")},
        **{"mqtt": MqttSettings(host="h"), "state_dir": folder / "state"} | settings,
    )


def slow_engine(takes_s):
    engine = ScriptedEngine()
    engine.takes_s = takes_s
    return Hardware(open_engine=lambda station, bundle: engine)


def test_a_deadline_that_the_engine_alone_uses_up_is_wrong(tmp_path):
    write_bundle(tmp_path / "bundle")
    reproduced, deadline = check_bundle(station(tmp_path, deadline_ms=20), slow_engine(0.02))
    assert (reproduced.rating, deadline.rating) == (Rating.OK, Rating.WRONG)
    assert deadline.text.startswith("deadline_ms 20: the engine alone takes 2")
    assert "no verdict would be in time; raise deadline_ms, or take a faster engine" in deadline.text


@pytest.mark.parametrize(
    ("engine_ms", "rating"),
    [(99.0, Rating.OK), (101.0, Rating.DOUBTFUL), (199.0, Rating.DOUBTFUL), (200.0, Rating.WRONG)],
)
def test_a_deadline_must_leave_room_beside_the_engine(engine_ms, rating):
    assert deadline_finding(200, engine_ms).rating is rating


def test_a_state_dir_is_tried_and_left_as_it_was(tmp_path):
    (finding,) = check_state_dir(station(tmp_path))
    assert (finding.text, finding.rating) == (f"state_dir {tmp_path}/state", Rating.OK)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder that not even root may write to")
@pytest.mark.parametrize("folder", [Path("/proc"), Path("/proc/foo")])
def test_a_state_dir_that_cannot_be_made_or_written_is_wrong_for_root_too(tmp_path, folder):
    with pytest.raises(StorageError, match=rf"state_dir {folder} cannot be (used|written): No such file"):
        list(check_state_dir(station(tmp_path, state_dir=folder)))


def test_a_state_dir_that_the_systemd_unit_will_make_is_doubtful_and_not_wrong(tmp_path):
    units = tmp_path / "edge-daemon"
    (finding,) = check_state_dir(station(tmp_path, state_dir=units / "press-1"), units)
    assert finding.rating is Rating.DOUBTFUL
    assert "the systemd unit makes both" in finding.text
    assert list(tmp_path.iterdir()) == []


def test_a_metrics_port_that_is_taken_is_wrong_unless_this_very_station_answers_there(tmp_path):
    def found(port):
        return list(check_metrics(station(tmp_path, metrics=MetricsSettings(port=port))))

    assert found(None) == []
    metrics = Metrics("press", "1", lambda: Sample(Counters(), {}, State.READY, 0, "tiny-1.0", "fp32"), tmp_path)
    with serve_metrics(metrics, "127.0.0.1", 0) as port:
        assert [(f.text, f.rating) for f in found(port)] == [
            (f"metrics 127.0.0.1:{port}: this station runs, and answers there", Rating.OK)
        ]
    assert [f.text for f in found(port)] == [f"metrics 127.0.0.1:{port}"]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        try:
            with pytest.raises(
                ConfigError, match=rf"metrics\.port {other.server_port} of 127.0.0.1 cannot be used: Addr"
            ):
                found(other.server_port)
        finally:
            other.shutdown()
            thread.join()
