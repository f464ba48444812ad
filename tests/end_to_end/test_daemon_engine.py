"""A station that asks for an engine which this machine cannot have says so and stays; it never restarts in a loop."""

from __future__ import annotations

import ctypes
import time

import pytest
from tests.support.tiny_bundle import write_pictures

START_S = 90  # a busy machine takes long to import everything


def has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(has_driver(), reason="this machine has an NVIDIA driver")


def test_without_a_driver_the_station_is_not_ready_with_the_reason_and_stays(bench, broker, listener):
    write_pictures(bench.pictures, "on")
    daemon = bench.daemon(bench.station(broker.port, engine="tensorrt"))
    state = listener.next_on("state", lambda payload: payload.startswith(b"NOTREADY"), wait_s=START_S)
    assert state.startswith(b"NOTREADY;201;this machine has no NVIDIA driver (libcuda.so.1")
    time.sleep(0.5)  # long enough for a picture to be judged, were one judged
    assert daemon.process.poll() is None
    assert not [topic for topic, _, _ in listener.seen if topic == "ev1/press/1/verdict"]
    listener.client.publish("ev1/press/1/command", b"SELFTEST", qos=1)
    assert listener.next_on("command/ack", lambda payload: payload.startswith(b"SELFTEST;FAILED"))
    listener.client.publish("ev1/press/1/command", b"RELOAD", qos=1)
    reply = listener.next_on("command/ack", lambda payload: payload.startswith(b"RELOAD;"))
    assert reply.startswith(b"RELOAD;FAILED;")
    assert daemon.terminate() == 0, daemon.log
    assert "this machine has no NVIDIA driver" in daemon.log


def test_auto_serves_with_onnxruntime_and_says_why(bench, broker, listener):
    write_pictures(bench.pictures, "on")
    daemon = bench.daemon(bench.station(broker.port, engine="auto"), "--once")
    assert daemon.wait() == 0, daemon.log
    (line,) = [line for line in daemon.log.splitlines() if "engine: " in line]
    assert line.endswith("(CPU), auto: no NVIDIA driver or GPU")
    assert "libcuda" not in daemon.log
    assert "stopped after 2 verdicts: 1 OK, 1 NOK" in daemon.log


def test_a_run_once_ends_with_the_code_of_what_is_missing(bench, broker):
    write_pictures(bench.pictures, "on")
    daemon = bench.daemon(bench.station(broker.port, engine="tensorrt"), "--once")
    assert daemon.wait() == 80
    assert daemon.log.splitlines()[-1].startswith("edge-daemon: this machine has no NVIDIA driver")
