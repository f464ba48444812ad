"""A real mosquitto on loopback for the benchmarks, and a client's first connection to it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as paho


def start_mosquitto(folder: Path, port: int) -> subprocess.Popen[str]:
    """Start the broker with its configuration in `folder`; the caller terminates it. Exits when there is none."""
    program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        sys.exit("mosquitto is not installed: apt-get install mosquitto")
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    return subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL, text=True)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connect(client: paho.Client, port: int, within_s: float = 5.0) -> None:
    """Connect, trying again while the broker starts."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            client.connect("127.0.0.1", port)
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
