from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
from tests.support.calibrated_bundle import write_calibrated_bundle
from tests.support.tiny_bundle import write_bundle, write_pictures

from edge_runtime.config.station import Station, read_station

DAEMON = [sys.executable, "-c", "from edge_runtime.cli import main; main()"]


def run(*arguments, cwd=None):
    environment = {**os.environ, "TERM": "dumb", "NO_COLOR": "1"}
    return subprocess.run(
        [*DAEMON, *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=cwd, env=environment
    )


def init(folder, *more, port=1):
    return run(
        *("init", folder / "bundle", "--source", f"folder://{folder}/pictures", "--broker", f"127.0.0.1:{port}"),
        *("--line", "press", "--cell", "1", "--state-dir", folder / "state", *more),
    )


@pytest.fixture
def place(tmp_path):
    write_bundle(tmp_path / "bundle")
    write_pictures(tmp_path / "pictures", "on")
    return tmp_path


def test_init_writes_a_station_that_reads_back(place):
    found = init(place)
    assert (found.returncode, found.stderr) == (0, "")
    (place / "station.yaml").write_text(found.stdout)
    station = read_station(place / "station.yaml")
    assert station.bundle == place / "bundle"
    assert station.product == "tiny"
    assert (station.mqtt.host, station.mqtt.port, station.line, station.cell) == ("127.0.0.1", 1, "press", "1")


def test_schema_prints_the_json_schema_of_a_station():
    found = run("schema")

    assert (found.returncode, found.stderr) == (0, "")
    schema = json.loads(found.stdout)
    assert set(schema["properties"]) == set(Station.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["line", "cell", "bundle", "source", "state_dir", "mqtt"]
    assert all(key["description"] for key in schema["properties"].values())


def test_init_gives_each_station_a_state_dir_of_its_own(place):
    asked = ("--source", "folder://pictures", "--broker", "localhost:1883", "--line", "L1")
    for cell in ("C3", "PRESS9"):
        found = run("init", "bundle", *asked, "--cell", cell, cwd=place)
        assert (found.returncode, found.stderr) == (0, "")
        assert f'\nstate_dir: "{place}/state-L1-{cell}"' in found.stdout


def test_init_takes_the_mode_the_recipe_and_a_state_dir_that_exists(place):
    (place / "state").mkdir()
    found = init(place, "--mode", "triggered", "--recipe", "12")
    assert (found.returncode, found.stderr) == (0, "")
    (place / "station.yaml").write_text(found.stdout)
    station = read_station(place / "station.yaml")
    assert (station.mode, station.recipe, station.state_dir) == ("triggered", 12, place / "state")


def test_init_takes_a_precision_that_the_bundle_holds(tmp_path):
    write_calibrated_bundle(tmp_path / "bundle")
    for precision in ("fp32", "int8"):
        found = init(tmp_path, "--precision", precision)
        assert (found.returncode, found.stderr) == (0, "")
        (tmp_path / "station.yaml").write_text(found.stdout)
        assert read_station(tmp_path / "station.yaml").precision.value == precision
    found = init(tmp_path, "--precision", "fp16")
    assert (found.returncode, found.stdout) == (78, "")
    assert found.stderr == (
        "edge-daemon: --precision fp16: bundle tiny-1.0 holds only fp32, int8; choose one of these\n"
    )


def test_init_says_that_a_folder_is_listed_once(place):
    (uri,) = [line for line in init(place).stdout.splitlines() if line.strip().startswith("uri:")]
    assert "listed once, at the start" in uri


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--line", "a/b"), "this is no station: --line: found 'a/b': "),
        (("--broker", "localhost"), "--broker 'localhost': must be HOST:PORT"),
        (("--broker", "localhost:99999"), "--broker: found 99999: must be less than or equal to 65535"),
        (("--mode", "sometimes"), "--mode: found 'sometimes': must be "),
        (("--recipe", "10000"), "--recipe: found 10000: must be "),
        (("--source", "frames"), "this is no station: --source: found 'frames': must be one of folder://, video://"),
    ],
)
def test_init_refuses_what_could_not_run(place, more, message):
    found = init(place, *more)
    assert found.returncode == 78
    assert message in found.stderr
    assert found.stdout == ""


def test_a_bundle_that_is_not_there_ends_with_78_and_one_line(tmp_path):
    found = init(tmp_path)
    assert found.returncode == 78
    assert found.stderr == (
        f"edge-daemon: {tmp_path}/bundle: there is no such folder; correct the path, or copy the bundle there\n"
    )


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_station_file_that_is_not_there_ends_with_78(tmp_path, command):
    found = run(command, tmp_path / "none.yaml")
    assert found.returncode == 78
    assert found.stderr == (
        f"edge-daemon: {tmp_path}/none.yaml cannot be read: No such file or directory; check the path and the rights; "
        "`edge-daemon init` writes a station's file\n"
    )


def test_run_with_a_damaged_bundle_ends_with_78_and_says_which_file(place):
    (place / "station.yaml").write_text(init(place).stdout)
    graph = place / "bundle/model.fp32.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    found = run("run", place / "station.yaml", "--once")
    assert found.returncode == 78
    assert f"edge-daemon: {graph} has " in found.stderr
    assert "Traceback" not in found.stderr


def test_run_with_pictures_that_are_not_there_ends_with_78_for_no_restart_brings_them(place):
    (place / "station.yaml").write_text(init(place).stdout.replace("/pictures", "/nothing"))
    found = run("run", place / "station.yaml")
    assert found.returncode == 78
    assert found.stderr.splitlines()[-1].startswith(f"edge-daemon: source folder://{place}/nothing: ")


def test_run_with_a_state_dir_that_cannot_be_made_ends_with_78(place):
    (place / "file").write_text("")
    text = init(place).stdout.replace(f"{place}/state", f"{place}/file/state")
    (place / "station.yaml").write_text(text)
    found = run("run", place / "station.yaml")
    assert found.returncode == 78
    assert f"state_dir {place}/file/state cannot be used" in found.stderr


def test_run_makes_only_the_last_folder_of_state_dir_for_the_path_may_be_misspelt(place):
    (place / "station.yaml").write_text(init(place).stdout.replace(f"{place}/state", f"{place}/sate/a/state"))
    found = run("run", place / "station.yaml")
    assert found.returncode == 78
    assert f"state_dir {place}/sate/a/state cannot be used: its parent {place}/sate/a is missing; make" in found.stderr
    assert not (place / "sate").exists()


def test_check_says_everything_that_is_wrong_at_once(place):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        port = unused.getsockname()[1]
        text = init(place, port=port).stdout.replace("/pictures", "/nothing")
        (place / "file").write_text("")
        (place / "station.yaml").write_text(text.replace(f"{place}/state", f"{place}/file/state"))
        (place / "bundle/golden/0.png").unlink()
        found = run("check", place / "station.yaml")
    assert found.returncode == 78
    wrong = [line for line in found.stdout.splitlines() if not line.startswith("WARN")]
    assert len(wrong) == 4
    assert wrong[0].startswith(f"WRONG  {place}/bundle/golden/0.png is missing; build the bundle again")
    assert wrong[1].startswith(f"WRONG  source folder://{place}/nothing: ")
    assert wrong[2].startswith(
        f"WRONG  state_dir {place}/file/state cannot be used: {place}/file is a file and no fold"
    )
    assert wrong[3] == (
        f"WRONG  broker 127.0.0.1:{port}: nobody listens there: check that the broker runs, mqtt.port, and that "
        "no firewall refuses"
    )
    assert found.stderr == f"edge-daemon: {place}/station.yaml: 4 of the things checked are wrong, see above\n"


def test_check_reports_a_single_problem_in_the_singular(place):
    (place / "station.yaml").write_text(init(place).stdout)  # with a port where no broker listens
    found = run("check", place / "station.yaml")
    assert found.returncode == 78
    assert found.stderr == f"edge-daemon: {place}/station.yaml: 1 of the things checked is wrong, see above\n"


def test_check_replays_the_golden_pictures(tmp_path):
    write_bundle(tmp_path / "bundle", golden_score=10.0)
    write_pictures(tmp_path / "pictures", "o")
    (tmp_path / "station.yaml").write_text(init(tmp_path).stdout)
    found = run("check", tmp_path / "station.yaml")
    assert found.returncode == 78
    assert "WRONG  self-test failed: onnxruntime" in found.stdout
    assert f"ok     source folder://{tmp_path}/pictures" in found.stdout


def test_selftest_of_a_precision_that_the_bundle_does_not_hold_says_nothing_else(place):
    found = run("selftest", place / "bundle", "--precision", "int8")
    assert (found.returncode, found.stdout) == (78, "")
    assert found.stderr == "edge-daemon: bundle tiny-1.0 has no int8 graph, only fp32: choose one of these\n"


def test_a_command_that_does_not_exist_is_a_usage_error():
    found = run("dance")
    assert found.returncode == 2
    assert "No such command 'dance'" in found.stderr


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    "text",
    [
        "line: !!float abc\n",
        "line: !!python/object/apply:os.system ['true']\n",
        f"recipe: {'9' * 5000}\n",
        f"line: {'[' * 10_000}\n",
        "line: 2001-99-99\nmode: on\n",
        'line: "\\ud800"\n',
    ],
)
def test_no_text_of_a_stations_file_ends_in_a_traceback(tmp_path, command, text):
    (tmp_path / "station.yaml").write_text(text)
    found = run(command, tmp_path / "station.yaml")
    assert found.returncode == 78
    assert found.stderr.startswith(f"edge-daemon: {tmp_path}/station.yaml")
    assert "Traceback" not in found.stderr
