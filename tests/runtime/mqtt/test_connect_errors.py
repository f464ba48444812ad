"""What the world answers instead of a broker, found by a real attempt where this machine can make one."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import struct
import threading

import pytest

from edge_runtime.config.station import MqttSettings, SourceSettings, Station
from edge_runtime.mqtt.client import probe_broker
from edge_runtime.mqtt.connect_errors import connect_reason


def logged(tmp_path, host, port):
    station = Station(
        line="l", cell="c", bundle=tmp_path, source=SourceSettings(uri="folder://x"), state_dir=tmp_path,
        mqtt=MqttSettings(host=host, port=port),
    )  # fmt: skip
    return probe_broker(station, timeout_s=0.3)


def test_a_port_where_nobody_listens(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        assert logged(tmp_path, "127.0.0.1", unused.getsockname()[1]) == (
            "nobody listens there: check that the broker runs, mqtt.port, and that no firewall refuses"
        )


def test_a_name_that_is_none(tmp_path):
    reason = logged(tmp_path, "x" * 70, 1883)  # no part of a name may be so long, and no resolver is asked
    assert reason.startswith("it cannot be reached (")
    assert reason.endswith("check mqtt.host, cable and network")


def test_a_machine_that_does_not_answer(tmp_path):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        with socket.create_connection(address):  # the queue is full now, and the kernel lets others wait
            assert logged(tmp_path, *address).startswith("nobody answers there: check mqtt.host and mqtt.port, cable")


@pytest.mark.parametrize("linger", [(1, 0), (0, 0)], ids=["by a reset", "in order"])
def test_a_port_that_hangs_up_when_it_is_greeted_in_tls(linger):
    """As a broker without TLS does; paho's own socket would stay open until it is collected, so this is ours."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            connection, _ = server.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", *linger))
            connection.recv(4096)
            connection.close()

        broker = threading.Thread(target=hang_up)
        broker.start()
        with (
            socket.create_connection(server.getsockname()) as plain,
            pytest.raises((ConnectionResetError, ssl.SSLEOFError)) as caught,
        ):
            ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")
        broker.join()
    assert connect_reason(caught.value) == (
        "it closed the connection before it answered: is this an MQTT port, with or without TLS?"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "its name is not known here (Name or service",
        ),
        (
            OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH)),
            "it cannot be reached (No route to host): check",
        ),
        (ValueError("Invalid host."), "it cannot be reached (Invalid host.): check mqtt.host"),
    ],
)
def test_other_reasons_are_told_in_words(error, reason):
    assert connect_reason(error).startswith(reason)
