"""What a failed connection means, in words; the error comes from a real attempt where this machine can make one."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import struct
import threading

import pytest

from edge_runtime.mqtt.connect_errors import connect_reason


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
def test_other_reasons_are_put_in_words(error, reason):
    assert connect_reason(error).startswith(reason)
