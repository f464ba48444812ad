"""What answers instead of a broker, found by real attempts."""

from __future__ import annotations

import socket

from edge_runtime.config.station import MqttSettings, SourceSettings, Station
from edge_runtime.mqtt.probe import probe_broker


def probed(tmp_path, host, port):
    station = Station(
        line="l", cell="c", bundle=tmp_path, source=SourceSettings(uri="folder://x"), state_dir=tmp_path,
        mqtt=MqttSettings(host=host, port=port),
    )  # fmt: skip
    return probe_broker(station, timeout_s=0.3)


def test_a_port_where_nobody_listens(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        assert probed(tmp_path, "127.0.0.1", unused.getsockname()[1]) == (
            "nobody listens there: check that the broker runs, mqtt.port, and that no firewall refuses"
        )


def test_a_name_that_is_none(tmp_path):
    reason = probed(tmp_path, "x" * 70, 1883)  # no part of a name may be so long, and no resolver is asked
    assert reason.startswith("it cannot be reached (")
    assert reason.endswith("check mqtt.host, cable and network")


def test_a_machine_that_does_not_answer(tmp_path):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        with socket.create_connection(address):  # the queue is full now, and the kernel lets others wait
            assert probed(tmp_path, *address).startswith("nobody answers there: check mqtt.host and mqtt.port, cable")
