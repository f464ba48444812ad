"""The end of a paho client in a test."""

from __future__ import annotations

import paho.mqtt.client as paho


def end(client: paho.Client) -> None:
    """Disconnect and close every socket now: the garbage collector would find them open, in whatever test it runs."""
    client.disconnect()
    client.loop_stop()
    client._reset_sockets()
