from __future__ import annotations

import os
import socket

import pytest

from edge_runtime.config.station import MqttSettings, SourceSettings, Station
from edge_runtime.daemon.assembly import check_watchdog
from edge_runtime.errors import ConfigError
from edge_runtime.monitoring.systemd import Watchdog, notify_systemd, watchdog_s


def test_systemd_hears_on_its_socket(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        notify_systemd("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert systemd.recv(100) == b"READY=1"


def test_an_abstract_socket_is_meant_by_an_at(tmp_path):
    name = f"edge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name)
        notify_systemd("READY=1", {"NOTIFY_SOCKET": "@" + name})
        assert systemd.recv(100) == b"READY=1"


def test_without_systemd_nothing_happens(tmp_path):
    notify_systemd("READY=1", {})
    notify_systemd("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_systemd_wants_to_be_fed(environ, expected):
    assert watchdog_s(environ) == expected


def test_the_watchdog_is_fed_four_times_within_its_period_however_often_there_is_progress():
    now, logged = [0.0], []
    watchdog = Watchdog(30.0, logged.append, clock=lambda: now[0])
    for _ in range(100):
        watchdog.feed()
        now[0] += 0.3
    assert logged == ["WATCHDOG=1"] * 4
    Watchdog(None, logged.append).feed()
    assert len(logged) == 4


def test_a_station_that_is_merely_slow_must_not_be_ended_by_the_watchdog(tmp_path):
    def station(deadline_ms):
        return Station(
            line="l", cell="c", bundle=tmp_path, deadline_ms=deadline_ms, source=SourceSettings(uri="folder://x"),
            state_dir=tmp_path, mqtt=MqttSettings(host="h"),
        )  # fmt: skip

    check_watchdog(station(15_000), 30.0)
    check_watchdog(station(600_000), None)
    with pytest.raises(ConfigError, match=r"deadline_ms 16000 is more than half of the unit's WatchdogSec of 30 s"):
        check_watchdog(station(16_000), 30.0)
