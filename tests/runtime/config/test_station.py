from __future__ import annotations

import pytest

from edge_runtime.config.station import MqttSettings, SourceSettings, Station, TlsSettings, read_station
from edge_runtime.config.template import text_from_station
from edge_runtime.errors import ConfigError
from edge_runtime.records import Precision

SMALLEST = """\
line: press
cell: "1"
bundle: bundles/screw-1
source: {uri: "folder://pictures"}
state_dir: /var/lib/edge-daemon/press-1
mqtt: {host: broker.local}
"""


def written(tmp_path, text):
    path = tmp_path / "station.yaml"
    path.write_text(text)
    return path


def problems(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        read_station(written(tmp_path, text))
    assert caught.value.exit_code == 78
    return str(caught.value)


def test_the_smallest_station_has_the_documented_defaults_and_paths_count_from_its_folder(tmp_path):
    station = read_station(written(tmp_path, SMALLEST))
    assert station.bundle == tmp_path / "bundles/screw-1"
    assert station.source.uri == f"folder://{tmp_path}/pictures"
    assert str(station.state_dir) == "/var/lib/edge-daemon/press-1"
    assert (station.precision, station.mode, station.recipe, station.deadline_ms) == (
        Precision.FP32,
        "free-running",
        0,
        1000,
    )
    assert (station.mqtt.port, station.mqtt.protocol, station.client_id) == (1883, "3.1.1", "edge-press-1")
    assert station.topics.verdict_bin == "ev1/press/1/verdict/bin"


def test_what_init_writes_reads_back_as_it_was(tmp_path):
    station = Station(
        line="press",
        cell="1",
        bundle=tmp_path / "a bundle: #1",
        precision=Precision.INT8,
        mode="triggered",
        recipe=12,
        source=SourceSettings(uri=f"video://{tmp_path}/ü.mp4", loop=True),
        state_dir=tmp_path / "state",
        mqtt=MqttSettings(
            host="::1",
            protocol="5",
            user="no",
            password_file=tmp_path / "password",
            tls=TlsSettings(ca=tmp_path / "ca.pem"),
        ),
    )
    text = text_from_station(station)
    assert read_station(written(tmp_path, text)) == station
    assert all("#" in line for line in text.splitlines() if line)  # every key has its comment


def test_all_problems_are_reported_at_once_with_place_found_and_allowed(tmp_path):
    text = problems(
        tmp_path,
        """\
cell: "press/1"
bundle: [7]
precision: fp8
mode: sometimes
threads: "two"
recipe: 10000
source: {uri: "http://camera", fps: 0}
state_dir: s
mqtt:
  port: 1883.5
  passwort: hunter2
  deadline_ms: 5
interval: 5
port: 1883
zzz: 1
""",
    )
    for expected in (
        "does not describe a station:\n  line: missing; the first part of every topic",
        "\n  line 1, cell: found 'press/1': must be 1 to 20 letters (A-Z, a-z), digits, - or _\n",
        "\n  line 2, bundle: found ['7']: must be a path\n",
        "\n  line 3, precision: found 'fp8': must be 'fp32', 'fp16' or 'int8'",
        "\n  line 4, mode: found 'sometimes': must be 'free-running', 'triggered', 'interval' or 'hardware'",
        "\n  line 5, threads: found 'two': must be a valid integer",
        "\n  line 6, recipe: found 10000: must be less than or equal to 9999",
        "\n  line 7, source.fps: found 0: must be greater than 0",
        "\n  line 7, source.uri: found 'http://camera': must be one of folder://, video://, aravis://, ",
        "\n  line 9, mqtt.host: missing; the broker's name or address",
        "\n  line 10, mqtt.port: found 1883.5: must be a valid integer",
        "\n  line 11, mqtt.passwort: unknown key; did you mean password_file?",
        "\n  line 12, mqtt.deadline_ms: unknown key here; it belongs at the top",
        "\n  line 13, interval: unknown key; did you mean interval_ms?",
        "\n  line 14, port: unknown key here; it belongs under mqtt or under metrics",
        "\n  line 15, zzz: unknown key; allowed: line, cell, bundle, ",
    ):
        assert expected in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("mode: triggered\nsource: {uri: 'folder://p', fps: 5}", "source.fps has no meaning in triggered mode"),
        ("mqtt: {host: h, password_file: f}", "mqtt: password_file without user"),
        ("mqtt: {host: h, tls: {ca: a, cert: c}}", "mqtt.tls: cert and key go together"),
        ("mqtt: {host: h, tls: {ca: a, caa: b}}", "mqtt.tls.caa: unknown key; did you mean ca?"),
        ("mqtt: {host: h, tls: {ca: a, uri: b}}", "mqtt.tls.uri: unknown key here; it belongs under source"),
        ("mqtt: {host: h, protocol: 4}", "mqtt.protocol: found '4': must be '3.1.1' or '5'"),
        ("mqtt: {host: ''}", "mqtt.host: found '': must have at least 1 character"),
        ("mqtt: {host: h, port:}", "mqtt.port: found nothing: must be a valid integer"),
        (
            "mqtt: {host: h, client_id: a b}",
            "client_id: found 'a b': must be 1 to 64 letters (A-Z, a-z), digits, - or _",
        ),
        ("mqtt: []", "mqtt: found []; allowed: the keys host, port, protocol, "),
        ("recipe: true", "recipe: found true: must be a valid integer"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path, addition, message):
    replaced = addition.split(":")[0] + ":", *(line.split(":")[0] + ":" for line in addition.splitlines())
    kept = [line for line in SMALLEST.splitlines() if not line.startswith(tuple(replaced))]
    assert message in problems(tmp_path, "\n".join([*kept, addition]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "station.yaml holds no keys; `edge-daemon init` writes a station's file"),
        ("# nothing yet\n", "station.yaml holds no keys; "),
        ("- a\n- b", "station.yaml holds no keys; "),
        ("a: [1", "line 1: this is no YAML: "),
        ("line: a\nline: b", "line 2: line stands here again, first in line 1"),
        ("mqtt: {user: a,\n  password: hunter2", "line 2: this is no YAML: "),
        ("line: x\ncell: *a", "line 2: an alias (*name) is used: write the value again instead"),
        ("line: !!python/object:os.system x", "line 1: a tag (!name): leave it out"),
    ],
)
def test_what_is_no_station_file_at_all_is_refused(tmp_path, text, message):
    assert message in problems(tmp_path, text)


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read: No such file"):
        read_station(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.yaml is not UTF-8 text"):
        read_station(tmp_path / "binary.yaml")


def test_the_files_of_trust_count_from_the_stations_folder(tmp_path):
    trust = "trust: {require_signature: true, keys: [a.pem, /etc/edge/b.pem], revoked: revoked.txt}\n"
    found = read_station(written(tmp_path, SMALLEST + trust)).trust
    assert [str(key) for key in found.keys] == [f"{tmp_path}/a.pem", "/etc/edge/b.pem"]
    assert found.revoked == tmp_path / "revoked.txt"


@pytest.mark.parametrize(
    ("trust", "says"),
    [
        ("{require_signature: true}", "require_signature needs keys: without one, no bundle could be accepted"),
        ("{require_signature: true, keys: []}", "require_signature needs keys"),
        ("{keys: [a.pem]}", "keys, revoked and allow_older have no meaning without require_signature: true"),
        ("{revoked: r.txt}", "have no meaning without require_signature"),
        ("{allow_older: screw-1}", "have no meaning without require_signature"),
        ("{require_signature: yes, keys: [a.pem]}", "write true"),
        ("{require_signatures: true}", "did you mean require_signature?"),
    ],
)
def test_half_a_trust_is_none_and_says_so(tmp_path, trust, says):
    assert says in problems(tmp_path, SMALLEST + f"trust: {trust}\n")


@pytest.mark.parametrize("host", ["u:hunter2@broker", "mqtt://broker", "broker/x", "broker;x", "bro ker"])
def test_a_host_with_a_user_a_scheme_or_a_path_is_refused_and_not_repeated(tmp_path, host):
    found = problems(tmp_path, SMALLEST.replace("broker.local", f"'{host}'"))
    assert "line 6, mqtt.host: must be a name or an address alone" in found
    assert host not in found


@pytest.mark.parametrize("host", ["broker", "10.0.0.7", "::1", "fe80::1%eth0", "my_broker-1.plant.example"])
def test_names_and_addresses_are_hosts(tmp_path, host):
    assert read_station(written(tmp_path, SMALLEST.replace("broker.local", f"'{host}'"))).mqtt.host == host


@pytest.mark.parametrize("value", ["[hunter2]", "{a: hunter2}", "{hunter2: a}"])
def test_what_stands_where_a_password_file_should_is_not_repeated(tmp_path, value):
    found = problems(tmp_path, SMALLEST.replace("broker.local", f"b, user: u, password_file: {value}"))
    assert "mqtt.password_file: must be the path of a file; what was found is not repeated" in found
    assert "hunter2" not in found
