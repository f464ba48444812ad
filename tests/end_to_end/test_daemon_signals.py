"""Signals and standard streams: what a station does when it is told things in the ways of a Unix process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from tests.support.tiny_bundle import write_pictures

RUN = "from edge_runtime.cli import main; main()"


@pytest.fixture
def station(bench, broker):
    write_pictures(bench.pictures, "on")
    return bench.station(broker.port, mode="triggered", source=", loop: true")


def test_usr1_and_usr2_are_ignored_and_hup_loads_the_bundle_again(bench, station, listener):
    daemon = bench.daemon(station)
    listener.wait_state("READY")
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        daemon.process.send_signal(number)
    assert listener.next_on("command/ack", wait_s=30).startswith(b"RELOAD;DONE;tiny-1.0 serves")
    assert daemon.terminate() == 0
    listener.wait_state("OFFLINE")


@pytest.mark.parametrize("closed", ["0", "1", "2", "012"])
def test_a_station_that_is_started_with_closed_standard_streams_serves(bench, station, listener, closed):
    def close_streams():
        for number in closed:
            os.close(int(number))

    process = subprocess.Popen([sys.executable, "-c", RUN, "run", str(station)], preexec_fn=close_streams)
    try:
        listener.wait_state("READY")
        listener.send("trigger", b"1;0;")
        listener.next_on("verdict")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    listener.wait_state("OFFLINE")


def test_a_station_whose_log_is_read_by_nobody_any_more_serves_on(bench, station, listener):
    process = subprocess.Popen([sys.executable, "-c", RUN, "run", str(station), "--verbose"], stderr=subprocess.PIPE)
    try:
        listener.wait_state("READY")
        process.stderr.close()
        listener.send("trigger", b"1;0;")
        listener.next_on("verdict")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_once_without_a_broker_ends_and_says_what_it_waited_for(bench):
    write_pictures(bench.pictures, "on")
    began = time.monotonic()
    daemon = bench.daemon(bench.station(9), "--once")  # nobody listens there
    assert daemon.wait(120) == 1
    assert time.monotonic() - began < 100
    assert "waiting until the broker 127.0.0.1:9 has 2 verdicts" in daemon.log
    assert "edge-daemon: the broker 127.0.0.1:9 took no verdict for 30 s, and 2 wait for it in the spool" in daemon.log


def test_a_prefix_of_the_plant_is_in_every_topic(bench, broker, make_listener):
    write_pictures(bench.pictures, "on")
    listener = make_listener(broker.port)
    listener.client.subscribe("plant/#", 1)
    listener.wait_subscribed()
    daemon = bench.daemon(bench.station(broker.port, topic_prefix="plant/ev1"), "--once")
    assert daemon.wait() == 0, daemon.log
    topics = {topic for topic, _, _ in listener.messages.queue}
    assert {"plant/ev1/press/1/state", "plant/ev1/press/1/verdict", "plant/ev1/press/1/verdict/json"} <= topics
    assert all(topic.startswith("plant/ev1/press/1/") for topic in topics)


def test_a_station_that_takes_no_commands_and_no_acknowledgements(bench, broker, listener):
    write_pictures(bench.pictures, "on")
    settings = {"commands": "false", "acknowledge": "false", "spool": "{keep_until: confirmed}"}
    daemon = bench.daemon(bench.station(broker.port, mode="triggered", source=", loop: true", **settings))
    listener.wait_state("READY")
    listener.send("command", b"PAUSE")
    listener.send("trigger", b"1;0;")
    assert listener.next_on("trigger/ack") == b"1;ACCEPTED"
    listener.next_on("verdict")
    assert daemon.terminate() == 0
    assert not [topic for topic, _, _ in listener.seen if topic.endswith("command/ack")]
