"""Ports for what a test starts."""

from __future__ import annotations

import random
import socket

# Below what Linux gives to outgoing connections: while a broker is down, no client of another test can sit on its port.
LOWEST, HIGHEST = 10_000, 32_767


def free_port() -> int:
    """A port of loopback that nobody listens on, chosen at random: tests run side by side."""
    while True:
        port = random.SystemRandom().randint(LOWEST, HIGHEST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
