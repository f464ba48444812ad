"""What `edge-daemon check` finds; all of it together in test_cli.py, the broker in test_daemon_broker.py."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import closing, nullcontext
from pathlib import Path

import cv2
import pytest
from rights import without_roots_rights
from small_disk import small_disk
from station_stage import ScriptedEngine, ScriptedSource
from tiny_bundle import picture, write_bundle, write_pictures

from edge_runtime.bundle import open_bundle
from edge_runtime.errors import ConfigError, EngineError, StorageError
from edge_runtime.hardware import Hardware
from edge_runtime.metrics import Metrics, Sample, serve_metrics
from edge_runtime.model import load_model
from edge_runtime.preflight import (
    Finding,
    Rating,
    check_bundle,
    check_metrics,
    check_settings,
    check_source,
    check_state_dir,
    deadline_finding,
    findings,
    judging_finding,
)
from edge_runtime.records import Frame, Quiet
from edge_runtime.spool import Spool
from edge_runtime.spool_database import room_to_open
from edge_runtime.states import State
from edge_runtime.station import HealthSettings, MetricsSettings, MqttSettings, PictureSettings, SourceSettings, Station
from edge_runtime.storage_watch import FREE_BYTES, free_bytes_beside
from edge_runtime.tally import Counters


def station(folder, **settings):
    defaults = {
        "source": SourceSettings(uri="folder://x"),
        "mqtt": MqttSettings(host="h"),
        "state_dir": folder / "state",
    }
    return Station(**{"line": "press", "cell": "1", "bundle": folder / "bundle", **defaults, **settings})


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


@pytest.mark.parametrize("shot", [None, Quiet()])
def test_a_source_that_gives_no_frame_is_wrong(tmp_path, shot):
    source = nullcontext(ScriptedSource(shot))
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


def test_a_state_dir_is_tried_and_left_as_it_was(tmp_path):
    (finding,) = check_state_dir(station(tmp_path))
    assert (finding.text, finding.rating) == (f"state_dir {tmp_path}/state", Rating.OK)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("free_mb", "max_mb", "rating", "text"),
    [
        (0, 0, Rating.WRONG, ": its disk has 0.0 MB free, and the spool needs 12.6 MB: make room, or choose another "),
        (12.5, 1000, Rating.WRONG, ": its disk has 12.5 MB free, and the spool needs 12.6 MB: make room, or choose an"),
        (
            12.6,
            1000,
            Rating.DOUBTFUL,
            ": its disk has 12.6 MB free: pictures of NOK and ERROR are left out with less",
        ),
        (
            72.5,
            1000,
            Rating.DOUBTFUL,
            ": its disk has 72.5 MB free: pictures of NOK and ERROR are left out with less",
        ),
        (72.6, 1000, Rating.OK, ""),
        (12.6, 0, Rating.OK, ""),
    ],
)
def test_a_disk_without_room_for_the_spool_is_wrong_and_without_room_for_pictures_doubtful(
    tmp_path, free_mb, max_mb, rating, text
):
    asked = []
    s = station(tmp_path, pictures=PictureSettings(max_mb=max_mb))
    (finding,) = check_state_dir(s, free_bytes=lambda folder: asked.append(folder) or round(free_mb * 1e6))
    assert finding.rating is rating
    assert finding.text.startswith(f"state_dir {s.state_dir}{text}")
    assert asked == [tmp_path]  # the folder itself would be made later


def test_what_check_asks_of_the_disk_is_what_opening_the_spool_takes(tmp_path):
    folder = tmp_path / "state"

    def taken():
        return sum(path.stat().st_size for path in folder.iterdir())

    new = room_to_open(folder)
    with Spool(folder):
        assert 0.95 * new < taken() <= new
        with_log = room_to_open(folder)  # as after a power cut, which leaves the log there
    assert with_log <= new / 2 + 50_000
    before, again = taken(), room_to_open(folder)
    with Spool(folder):
        assert taken() - before <= again


def test_a_full_disk_is_wrong_where_run_would_end_with_74_and_what_is_enough_for_check_is_enough_to_serve(tmp_path):
    with small_disk(tmp_path / "disk", 20_000) as disk:
        s = station(tmp_path, state_dir=disk / "state", pictures=PictureSettings(max_mb=0))
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(free_bytes_beside(disk) - 100_000))
        (finding,) = check_state_dir(s)
        assert finding.rating is Rating.WRONG
        with pytest.raises(StorageError, match="database or disk is full"):
            Spool(s.state_dir)
        shutil.rmtree(s.state_dir)
        ballast.unlink()
        ballast.write_bytes(bytes(free_bytes_beside(disk) - 12_640_000))
        (finding,) = check_state_dir(s)
        assert finding == Finding(f"state_dir {s.state_dir}")
        with Spool(s.state_dir):
            assert free_bytes_beside(disk) >= FREE_BYTES


def refusal(folder, state_dir):
    with pytest.raises(StorageError) as refused:
        list(check_state_dir(station(folder, state_dir=state_dir)))
    return str(refused.value)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder that not even root may write to")
@pytest.mark.parametrize(("folder", "it"), [("/proc", "it"), ("/proc/foo", "its parent /proc")])
def test_a_state_dir_where_nothing_can_be_written_is_wrong_for_root_too(tmp_path, folder, it):
    assert refusal(tmp_path, Path(folder)) == (
        f"state_dir {folder} cannot be used: {it} takes nothing new (No such file or directory); choose a folder on a "
        "disk that lasts and can be written"
    )


@pytest.mark.parametrize("below", [".", "state", "a/state"])
def test_a_file_in_the_place_of_a_state_dir_is_named(tmp_path, below):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / below
    assert refusal(tmp_path, folder) == (
        f"state_dir {folder} cannot be used: {tmp_path}/file is a file and no folder; correct state_dir"
    )


def test_a_state_dir_without_its_parent_is_not_made(tmp_path):
    assert refusal(tmp_path, tmp_path / "sate/state") == (
        f"state_dir {tmp_path}/sate/state cannot be used: its parent {tmp_path}/sate is missing; make that, or correct "
        "state_dir"
    )


@pytest.mark.parametrize(("mode", "below", "it"), [(0o555, "", "it"), (0o555, "state", "its parent {}"),
                                                   (0o000, "state", "its parent {}")])  # fmt: skip
def test_a_state_dir_that_this_user_may_not_write_says_who_that_is(tmp_path, mode, below, it):
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(mode)
    try:
        with without_roots_rights():
            told = refusal(tmp_path, place / below)
    finally:
        place.chmod(0o755)
    user = f"user {os.geteuid()}"
    assert told == (
        f"state_dir {place / below} cannot be used: {user} may not write into {it.format(place)} (Permission denied); "
        f"be the station's user, or give {user} that right"
    )


def test_a_state_dir_that_a_daemon_uses_is_told_and_free_again_after_it(tmp_path):
    with Spool(tmp_path / "state"):
        pass
    owner = [sys.executable, "-c", "import sys, pathlib, edge_runtime.spool as s; "
             "spool = s.Spool(pathlib.Path(sys.argv[1])); print('owned', flush=True); sys.stdin.read()"]  # fmt: skip

    def found():
        (finding,) = check_state_dir(station(tmp_path))
        return finding.text, finding.rating

    free = (f"state_dir {tmp_path}/state", Rating.OK)
    before = {path.name for path in (tmp_path / "state").iterdir()}
    assert found() == free
    assert {path.name for path in (tmp_path / "state").iterdir()} == before
    with subprocess.Popen([*owner, tmp_path / "state"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout.readline() == b"owned\n"
        text, rating = found()
        assert text.startswith(f"{free[0]}: a daemon uses it now; right if this station runs, but another needs a")
        assert rating is Rating.DOUBTFUL
        daemon.stdin.close()
    assert found() == free


def test_a_state_dir_that_the_systemd_unit_will_make_is_doubtful_and_not_wrong(tmp_path):
    units = tmp_path / "edge-daemon"
    (finding,) = check_state_dir(station(tmp_path, state_dir=units / "press-1"), units)
    assert finding.rating is Rating.DOUBTFUL
    assert "the systemd unit makes both" in finding.text
    assert list(tmp_path.iterdir()) == []


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


def test_check_tells_of_settings_that_are_hardly_meant(tmp_path):
    s = with_pictures(tmp_path, "o", mode="hardware", health=HealthSettings(sharpness_low=0.0))
    doubts = [f.text.partition(":")[0] for f in findings(s) if f.rating is Rating.DOUBTFUL]
    assert doubts == ["mode hardware", "health"]


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
