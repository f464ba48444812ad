"""`edge-daemon cameras`, `snap`, `record` and `init --camera` with a real camera: what a new user types first."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import cv2
import paho.mqtt.client as paho
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion
from tests.support.gige_camera import NEEDS, GigeCamera, has_aravis

from edge_runtime.config.station import read_station

pytestmark = pytest.mark.skipif(not has_aravis(), reason=NEEDS)

PROGRAM = [sys.executable, "-c", "from edge_runtime.entry import main; main()"]
URI = "aravis://127.0.0.1"


@pytest.fixture(scope="module", autouse=True)
def camera():
    with GigeCamera() as camera:
        yield camera


def edge_daemon(*arguments, typed=""):
    found = subprocess.run(
        [*PROGRAM, *map(str, arguments)], input=typed, capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_cameras_lists_model_serial_address_and_formats():
    listed = edge_daemon("cameras")
    assert "aravis://EDGE1  Aravis Fake, GigEVision, 127.0.0.1" in listed
    assert "formats BayerBG8, BayerGB8, BayerGR8, BayerRG8, Mono8, RGB8, Mono16" in listed


def test_snap_writes_one_frame_and_says_how_it_is(tmp_path):
    shown = edge_daemon("snap", URI, "--out", tmp_path / "first.png")
    assert "Aravis Fake EDGE1, 512 x 512 Mono8, exposure 10000 us" in shown
    for what in ("frame       512 x 512 EDGE1#", "brightness  ", "sharpness   ", "judged      "):
        assert what in shown
    assert cv2.imread(str(tmp_path / "first.png")).shape == (512, 512, 3)


@pytest.mark.parametrize(("by", "typed"), [("clock", ""), ("enter", "\n" * 8)])
def test_record_stops_at_the_count_and_goes_on_from_there(tmp_path, by, typed):
    folder = tmp_path / "good"
    for count in (2, 3):
        shown = edge_daemon("record", URI, folder, "--count", count, "--every", 0, "--by", by, typed=typed)
        assert f"{folder}: {count} pictures" in shown
        assert sorted(path.name for path in folder.glob("*.png")) == [f"{n:04d}.png" for n in range(1, count + 1)]
    beside = json.loads((folder / "0001.json").read_text())
    assert "Aravis Fake EDGE1" in json.dumps(beside)


def test_record_takes_a_picture_at_each_message_of_the_plc(tmp_path, broker):
    station = tmp_path / "station.yaml"
    station.write_text(
        f"line: press\ncell: '1'\nbundle: none\nstate_dir: state\nmode: triggered\nsource: {{uri: '{URI}'}}\n"
        f"mqtt: {{host: 127.0.0.1, port: {broker.port}}}\n"
    )
    plc, done = paho.Client(CallbackAPIVersion.VERSION2, "plc"), threading.Event()
    plc.connect("127.0.0.1", broker.port)
    plc.loop_start()

    def trigger():
        while not done.is_set():
            plc.publish("ev1/press/1/trigger", "1;0;", 1)
            time.sleep(0.2)

    thread = threading.Thread(target=trigger, daemon=True)
    thread.start()
    try:
        shown = edge_daemon("record", station, tmp_path / "good", "--count", 2, "--by", "plc")
    finally:
        done.set()
        thread.join()
        plc.disconnect()
        plc.loop_stop()
    assert f"{tmp_path / 'good'}: 2 pictures" in shown


def test_init_writes_a_station_for_the_camera_that_is_found_with_its_settings_of_now(tmp_path):
    text = edge_daemon("init", "--camera", "--broker", "127.0.0.1:1883", "--line", "l", "--cell", "c")
    (tmp_path / "station.yaml").write_text(text)
    source = yaml.safe_load(text)["source"]
    assert source["uri"] == "aravis://EDGE1"
    camera = read_station(tmp_path / "station.yaml").source.camera
    assert (camera.width, camera.height, camera.pixel_format, camera.exposure_us) == (512, 512, "Mono8", 10_000.0)
