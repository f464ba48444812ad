"""What `edge-daemon check` finds; all of it together in test_cli.py, the broker in test_daemon_broker.py."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import threading
from contextlib import closing

import cv2
import pytest
from tests.support.checked_station import station
from tests.support.station_stage import ScriptedEngine, ScriptedSource
from tests.support.tiny_bundle import picture, write_bundle, write_pictures

from edge_runtime.bundle.reader import open_bundle
from edge_runtime.commands.check import (
    Finding,
    Rating,
    check_bundle,
    check_metrics,
    check_product,
    check_settings,
    check_source,
    deadline_finding,
    findings,
    judging_finding,
)
from edge_runtime.config.station import HealthSettings, MetricsSettings, SourceSettings
from edge_runtime.daemon.hardware import Hardware
from edge_runtime.daemon.model import load_model
from edge_runtime.errors import BundleError, ConfigError, EngineError
from edge_runtime.monitoring.counters import CounterValues
from edge_runtime.monitoring.prometheus import Metrics, Sample, serve_metrics
from edge_runtime.records import Frame, NoFrame
from edge_runtime.storage.served import remember
from edge_runtime.wire.states import State


def slow_engine(takes_s):
    engine = ScriptedEngine()
    engine.takes_s = takes_s
    return Hardware(open_engine=lambda station, bundle: engine)


def with_pictures(folder, outcomes, **settings):
    """A station with a bundle and a folder of pictures."""
    write_bundle(folder / "bundle")
    write_pictures(folder / "pictures", outcomes)
    return station(folder, source=SourceSettings(uri=f"folder://{folder}/pictures"), **settings)


def test_the_deadline_is_held_against_the_whole_judging_of_the_sources_first_frame(tmp_path):
    s = with_pictures(tmp_path, "no", deadline_ms=20)
    hardware = slow_engine(0.02)
    reproduced, deadline = check_bundle(s, hardware)
    assert reproduced.rating is Rating.OK
    assert reproduced.text.startswith("bundle tiny-1.0, fp32: 2 golden pictures reproduced by scripted, largest dev")
    found = re.fullmatch(
        r"deadline_ms 20: judging 0000.png takes (\S+) ms \(prepare (\S+), engine (\S+), decide (\S+)\), so no verdict "
        "would be in time; raise deadline_ms, or take a faster engine, precision or detector",
        deadline.text,
    )
    whole, *parts = map(float, found.groups())
    assert whole == pytest.approx(sum(parts), abs=0.2)  # each is rounded
    assert parts[1] >= 20
    assert deadline.rating is Rating.WRONG
    assert hardware.open_engine(s, None).closed


@pytest.mark.parametrize("outcomes", ["xo", None], ids=["unreadable", "no source"])
def test_without_a_frame_that_may_be_judged_the_engine_alone_is_held_against_the_deadline(tmp_path, outcomes):
    s = with_pictures(tmp_path, outcomes or "o", deadline_ms=20)
    if outcomes is None:
        shutil.rmtree(tmp_path / "pictures")
    _, deadline = check_bundle(s, slow_engine(0.02))
    assert deadline.text.startswith("deadline_ms 20: the engine alone takes ")
    assert deadline.rating is Rating.WRONG


@pytest.mark.parametrize(
    ("taken_ms", "rating"),
    [(99.0, Rating.OK), (101.0, Rating.DOUBTFUL), (199.0, Rating.DOUBTFUL), (200.0, Rating.WRONG)],
)
def test_a_deadline_must_leave_room_beside_the_judging(taken_ms, rating):
    assert deadline_finding(200, taken_ms, "judging it").rating is rating


class FailingEngine(ScriptedEngine):
    """It fails after so many pictures."""

    def __init__(self):
        super().__init__()
        self.good_for = 1000

    def infer(self, image):
        self.good_for -= 1
        if self.good_for < 0:
            raise EngineError("the GPU fell off")
        return super().infer(image)


@pytest.mark.parametrize("good_for", [0, 4])
def test_an_engine_that_fails_on_the_first_frame_even_once_is_wrong(tmp_path, good_for):
    write_bundle(tmp_path / "bundle")
    engine = FailingEngine()
    with closing(load_model(open_bundle(tmp_path / "bundle"), station(tmp_path), lambda *_: engine)) as model:
        engine.good_for = good_for
        finding = judging_finding(1000, model.judge, Frame("folder", 1, 0, picture(False, 1), "a.png"))
    assert finding == Finding(
        "the first frame, a.png, would be ERROR 201 ENGINE_FAILED: the GPU fell off", Rating.WRONG
    )


def test_a_frames_name_may_have_braces(tmp_path):
    write_bundle(tmp_path / "bundle")
    with closing(load_model(open_bundle(tmp_path / "bundle"), station(tmp_path), lambda *_: ScriptedEngine())) as model:
        finding = judging_finding(60_000, model.judge, Frame("folder", 1, 0, picture(False, 1), "part{7}.png"))
    assert finding.text.startswith("deadline_ms 60000: judging part{7}.png takes ")


@pytest.mark.parametrize("first", [None, NoFrame()])
def test_a_source_that_gives_no_frame_is_wrong(tmp_path, first):
    source = ScriptedSource(first)
    s = station(tmp_path)
    assert list(check_source(s, Hardware(open_source=lambda station: source))) == [
        Finding("source folder://x: it gives no frame within 1 s", Rating.WRONG)
    ]


def test_the_sources_first_frame_is_looked_at(tmp_path):
    s = with_pictures(tmp_path, "ox")
    assert list(check_source(s, Hardware())) == [
        Finding(f"source {s.source.uri}: the first frame, 0000.png, is 64 x 64 and may be judged")
    ]


def test_the_first_frame_of_a_video_is_looked_at(tmp_path):
    write_bundle(tmp_path / "bundle")
    path = tmp_path / "parts.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
    writer.write(picture(False, 1))
    writer.release()
    s = station(tmp_path, source=SourceSettings(uri=f"video://{path}"))
    assert [f.text for f in check_source(s, Hardware())] == [
        f"source video://{path}: the first frame, parts.avi#1, is 64 x 64 and may be judged"
    ]


@pytest.mark.parametrize(
    ("outcomes", "health", "says"),
    [
        ("xo", {}, "the first frame, 0000.png, would be ERROR 102 FRAME_UNREADABLE: "),
        ("oo", {"brightness_low": 200.0},
         "the first frame, 0000.png, would be ERROR 104 FRAME_BLACK: at most 1 % of the pixels are brighter than"),
    ],
)  # fmt: skip
def test_a_first_frame_that_would_not_be_judged_is_wrong_with_its_code_and_reason(tmp_path, outcomes, health, says):
    s = with_pictures(tmp_path, outcomes, health=HealthSettings(**health))
    (finding,) = check_source(s, Hardware())
    assert finding.text.startswith(f"source {s.source.uri}: {says}")
    assert finding.rating is Rating.WRONG


def test_a_first_frame_is_held_against_the_bundles_own_limits(tmp_path):
    s = with_pictures(tmp_path, "o")
    manifest = json.loads((s.bundle / "manifest.json").read_text())
    manifest["frames"] = {"pictures": 9, "height": 480, "width": 640}
    (s.bundle / "manifest.json").write_text(json.dumps(manifest))
    (finding,) = check_source(s, Hardware())
    assert "the first frame, 0000.png, would be ERROR 110 FRAME_WRONG_SIZE: " in finding.text


def test_a_source_is_opened_although_the_bundle_is_none(tmp_path):
    s = with_pictures(tmp_path, "o")
    (s.bundle / "manifest.json").unlink()
    assert list(check_source(s, Hardware())) == [Finding(f"source {s.source.uri}")]


@pytest.mark.parametrize("uri", ["folder://x", "video://x"])
def test_a_recording_in_hardware_mode_is_doubtful_for_no_part_starts_it(tmp_path, uri):
    (finding,) = check_settings(station(tmp_path, mode="hardware", source=SourceSettings(uri=uri)))
    assert finding.rating is Rating.DOUBTFUL
    assert finding.text.startswith(f"mode hardware: source {uri} is a recording and waits for no signal: its pictures")
    for mode in ("free-running", "triggered", "interval"):
        assert list(check_settings(station(tmp_path, mode=mode))) == []


@pytest.mark.parametrize(
    ("health", "named"),
    [
        (
            {"brightness_low": 0.0, "saturated_high": 1.0, "sharpness_low": 0.0},
            "brightness_low 0, saturated_high 1, sharpness_low 0",
        ),
        ({"brightness_low": 0.5, "saturated_high": 0.99, "sharpness_low": 0.0}, "sharpness_low 0"),
        ({"brightness_low": 5.0, "saturated_high": 0.0, "sharpness_low": 0.01}, None),
        ({}, None),
    ],
)
def test_limits_of_frames_that_are_switched_off_are_named(tmp_path, health, named):
    found = list(check_settings(station(tmp_path, health=HealthSettings(**health))))
    text = "such frames are judged, and may be OK; null takes the bundle's limits"
    assert found == ([Finding(f"health: {named} not checked: {text}", Rating.DOUBTFUL)] if named else [])


def test_check_reports_settings_that_are_hardly_meant(tmp_path):
    health = HealthSettings(sharpness_low=0.0)
    s = with_pictures(tmp_path, "o", mode="hardware", health=health, product="tiny")
    doubts = [f.text.partition(":")[0] for f in findings(s) if f.rating is Rating.DOUBTFUL]
    assert doubts == ["source folder", "mode hardware", "health"]


def test_a_metrics_port_that_is_taken_is_wrong_unless_this_very_station_answers_there(tmp_path):
    def found(port):
        return list(check_metrics(station(tmp_path, metrics=MetricsSettings(port=port))))

    assert found(None) == []
    metrics = Metrics("press", "1")
    metrics.add_sample(lambda: Sample(CounterValues(), {}, State.READY, 0, "tiny-1.0", "fp32"), tmp_path)
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


def test_a_station_that_names_no_product_is_doubtful_and_the_key_to_write_is_said(tmp_path):
    s = with_pictures(tmp_path, "o", recipe=12)
    add = "write `product: tiny` into station.yaml"
    first = f"product: not named: whatever bundle lies there first judges recipe 12 from then on; {add}"
    assert list(check_product(s)) == [Finding(first, Rating.DOUBTFUL)]
    s.state_dir.mkdir()
    remember(s.state_dir, open_bundle(s.bundle))
    later = f"product: not named: only {s.state_dir}/served.json keeps other products' bundles away; {add}"
    assert list(check_product(s)) == [Finding(later, Rating.DOUBTFUL)]
    assert list(check_product(station(tmp_path, product="tiny"))) == []


def test_another_products_bundle_is_wrong(tmp_path):
    s = with_pictures(tmp_path, "o", product="nut")
    with pytest.raises(BundleError, match=r"tiny-1\.0 is not of product 'nut'"):
        list(check_bundle(s, slow_engine(0)))
