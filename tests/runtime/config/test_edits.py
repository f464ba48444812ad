from __future__ import annotations

from edge_runtime.config.edits import Edits, edits_since_start
from edge_runtime.config.station import read_station

STATION = """\
line: press
cell: "1"
bundle: screw
source: {uri: "aravis://*", camera: {exposure_us: 900}}
mode: triggered
recipe: 12
state_dir: state
mqtt: {host: broker, port: 1883}
"""


def edits(tmp_path, *changes):
    file = tmp_path / "station.yaml"
    file.write_text(STATION)
    running = read_station(file)
    text = STATION
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)
    return edits_since_start(running, file)


def test_a_file_as_it_was_or_with_another_comment_and_order_has_no_edits(tmp_path):
    assert edits(tmp_path) == Edits()
    assert edits(tmp_path, ("recipe: 12\n", ""), ("line: press", "# by hand\nrecipe: 12\nline: press")) == Edits()
    assert Edits().text(60) == ""


def test_what_differs_is_named_with_its_way_through_the_file(tmp_path):
    found = edits(tmp_path, ("recipe: 12", "recipe: 13"), ("1883", "8883"), ("exposure_us: 900", "exposure_us: 700"))
    assert found.keys == ("source.camera.exposure_us", "recipe", "mqtt.port")
    assert found.text(80) == "restart to apply source.camera.exposure_us, recipe, mqtt.port"


def test_what_was_not_there_before_is_named_by_its_whole(tmp_path):
    outputs = "outputs: [{chip: /dev/gpiochip0, line: 7}]\nmqtt: {tls: {ca: ca.pem}, "
    assert edits(tmp_path, ("mqtt: {", outputs)).keys == ("mqtt.tls", "outputs")


def test_more_keys_than_there_is_room_for_are_counted():
    assert Edits(("recipe", "mqtt.port")).text(34) == "restart to apply recipe, mqtt.port"
    assert Edits(("recipe", "mqtt.port")).text(33) == "restart to apply 2 changed keys"


def test_a_file_that_has_errors_is_an_edit_too(tmp_path):
    found = edits(tmp_path, ("recipe: 12", "recipe: twelve"))
    assert "line 6, recipe: found 'twelve'" in found.problem
    assert found.text(60) == "the station's file has errors"


def test_a_file_that_is_gone_is_an_edit_too(tmp_path):
    edits(tmp_path)
    running = read_station(tmp_path / "station.yaml")
    (tmp_path / "station.yaml").unlink()
    assert "station.yaml cannot be read: No such file" in edits_since_start(running, tmp_path / "station.yaml").problem
