"""Brokers that want a password or TLS: `check` says what is wrong, `run` gets through."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.support.mqtt_end import end
from tests.support.tiny_bundle import write_pictures


def check(station):
    return subprocess.run(
        [sys.executable, "-c", "from edge_runtime.cli import main; main()", "check", str(station)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def wrong(station):
    found = check(station)
    assert found.returncode == 78, found.stdout + found.stderr
    (line,) = [line for line in found.stdout.splitlines() if line.startswith("WRONG")]
    return line


@pytest.fixture
def pictures(bench):
    write_pictures(bench.pictures, "on")


@pytest.fixture
def guarded(start_broker, tmp_path):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "press", "sesame"], check=True, capture_output=True)
    return start_broker("allow_anonymous false", f"password_file {passwords}")


@pytest.fixture
def certificates(tmp_path):
    """An authority, and a broker's certificate for 127.0.0.1 signed by it."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=tmp_path)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    for name in ("ca", "other"):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    openssl(
        *("req", "-x509", *key, "-keyout", "broker.key", "-out", "broker.pem", "-subj", "/CN=broker"),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-CA", "ca.pem", "-CAkey", "ca.key"),
    )
    return tmp_path


@pytest.mark.usefixtures("pictures")
def test_a_station_that_is_right_checks_out(bench, broker):
    found = check(bench.station(broker.port, product="tiny"))
    assert (found.returncode, found.stderr) == (0, "")
    assert [line.split()[:2] for line in found.stdout.splitlines()] == [
        *(["ok", what] for what in ("bundle", "deadline_ms", "trust:", "source")),
        ["WARN", "source"],  # it is a recording
        *(["ok", what] for what in ("state_dir", "broker")),
    ]


@pytest.mark.usefixtures("pictures")
def test_the_password_comes_from_its_file_and_never_shows(bench, guarded):
    (bench.folder / "password").write_text("sesame\n")
    station = bench.station(guarded.port, mqtt=", user: press, password_file: password")
    assert check(station).returncode == 0
    daemon = bench.daemon(station, "--once", "--verbose")
    assert daemon.wait() == 0, daemon.log
    assert "sesame" not in daemon.log
    (bench.folder / "password").write_text("swordfish")
    refused = bench.daemon(station, "--verbose")
    refused.read_until("Not authorized")
    process = Path("/proc") / str(refused.process.pid)  # what `ps` shows of it
    assert b"station.yaml" in (process / "cmdline").read_bytes()
    assert b"swordfish" not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    refused.terminate()
    assert "swordfish" not in refused.log
    assert f"broker 127.0.0.1:{guarded.port}: it refused the connection: Not authorized; check mqtt.user" in wrong(
        station
    )


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read: No such file"), ("", "is empty: write the password into it")]
)
def test_a_password_file_that_cannot_serve_is_named(bench, broker, content, message):
    if content is not None:
        (bench.folder / "password").write_text(content)
    station = bench.station(broker.port, mqtt=", user: press, password_file: password")
    assert f"mqtt.password_file {bench.folder}/password {message}" in wrong(station)
    daemon = bench.daemon(station)
    assert daemon.wait() == 78
    assert message in daemon.log


@pytest.mark.usefixtures("pictures")
def test_tls_proves_the_broker(bench, certificates, start_broker):
    broker = start_broker(
        "allow_anonymous true",
        f"certfile {certificates}/broker.pem",
        f"keyfile {certificates}/broker.key",
    )
    daemon = bench.daemon(bench.station(broker.port, mqtt=", tls: {ca: ca.pem}"), "--once")
    assert daemon.wait() == 0, daemon.log
    assert check(bench.station(broker.port, mqtt=", tls: {ca: ca.pem}")).returncode == 0
    assert "the broker's certificate is refused" in wrong(bench.station(broker.port, mqtt=", tls: {ca: other.pem}"))
    assert "none.pem cannot be read: No such file or directory" in wrong(
        bench.station(broker.port, mqtt=", tls: {ca: none.pem}")
    )
    assert "it closed the connection before it answered" in wrong(bench.station(broker.port))


@pytest.mark.usefixtures("pictures")
def test_a_second_client_with_the_stations_id_is_reported_after_some_lost_connections(bench, broker):
    other = paho.Client(CallbackAPIVersion.VERSION2, "edge-press-1")
    other.reconnect_delay_set(1, 1)
    other.connect("127.0.0.1", broker.port)
    other.loop_start()
    daemon = bench.daemon(bench.station(broker.port))
    try:
        daemon.read_until(
            f"broker 127.0.0.1:{broker.port}: the connection was lost: Unspecified error; another client with the id "
            "edge-press-1 may be connected"
        )
    finally:
        end(other)
