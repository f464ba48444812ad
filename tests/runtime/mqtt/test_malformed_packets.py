"""Packets that are none, from a broker on a real socket: the connection ends, or goes on, and the thread never dies."""

from __future__ import annotations

import os
import queue
import random
import threading
import time
import tracemalloc

import pytest
from tests.support.fake_broker import FakeBroker
from tests.support.faults.malformed_packets import kinds, publish, spoilt

from edge_runtime.config.station import MqttSettings, SourceSettings, Station
from edge_runtime.mqtt.bounded_client import LONGEST_IN
from edge_runtime.mqtt.client import MqttClient
from edge_runtime.mqtt.connection import Down, Up
from edge_runtime.mqtt.paho_connection import PahoConnection

WAIT_S = 10
TOPIC = b"ev1/l/c/trigger"
KINDS = kinds(TOPIC)
NAMES = (b"\xff\xfe", b"\x00", "ü".encode(), b"a\x00b", b"+/#", b"", b"x" * 300, b"\xed\xa0\x80")


def station_at(port, tmp_path, protocol="3.1.1"):
    return Station(
        line="l", cell="c", bundle=tmp_path, source=SourceSettings(uri="folder://x"), state_dir=tmp_path,
        mqtt=MqttSettings(host="127.0.0.1", port=port, protocol=protocol),
    )  # fmt: skip


def endured(tmp_path, packets, moment, protocol):
    """Run a connection for each packet, one after the other. Returns why each ended."""
    reasons = []
    with FakeBroker(packets, moment, protocol) as broker:
        station = station_at(broker.port, tmp_path, protocol)
        for number in range(len(packets)):
            connection = PahoConnection(station, number + 1, lambda event: None, lambda *_: None, lambda it: None)
            reasons.append(connection.run(threading.Event()))
        assert broker.connections == len(packets)
    return reasons


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_packet_spoilt_in_each_way_ends_its_connection_with_a_reason(tmp_path, kind, protocol):
    moment = {"CONNACK": "connect", "SUBACK": "subscribe"}.get(kind, "subscribed")
    reasons = endured(tmp_path, list(spoilt(KINDS[kind])), moment, protocol)
    assert all(reasons)


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_topics_that_are_no_text_or_no_topics(tmp_path, protocol):
    more = b"\x00" if protocol == "5" else b""
    assert all(
        endured(
            tmp_path, [publish(name, more + b"x", qos) for name in NAMES for qos in (0, 1, 2)], "subscribed", protocol
        )
    )


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_bytes_at_random(tmp_path, protocol):
    chance = random.Random(7)
    for moment in ("connect", "subscribe", "subscribed"):
        packets = [chance.randbytes(chance.randrange(1, 40)) for _ in range(60)]
        assert all(endured(tmp_path, packets, moment, protocol))


def test_the_client_is_connected_again_after_a_packet_that_cannot_be_read(tmp_path):
    events: queue.Queue[object] = queue.Queue()
    with FakeBroker([b"\x30\x00"]) as broker:
        client = MqttClient(station_at(broker.port, tmp_path), events.put, lambda *_: None)
        with client:
            found = [type(events.get(timeout=WAIT_S)) for _ in range(3)]
            assert client.lives
    assert found == [Up, Down, Up]


def test_a_message_beyond_all_bounds_takes_no_memory_and_the_next_one_arrives(tmp_path):
    messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
    huge = publish(TOPIC, bytes(50_000_000)) + publish(TOPIC, b"1;0;a")
    with FakeBroker([huge], hold=True) as broker:
        tracemalloc.start()
        with MqttClient(station_at(broker.port, tmp_path), lambda event: None, lambda *m: messages.put(m[:2])):
            first, second = messages.get(timeout=60), messages.get(timeout=WAIT_S)
            _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert LONGEST_IN <= len(first[1]) < 200_000
    assert second == (TOPIC.decode(), b"1;0;a")
    assert peak < 5_000_000


def test_descriptors_of_ended_connections_are_closed_at_once(tmp_path):
    def count():
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names alone

    with FakeBroker([b""] * 50, "connect") as broker:
        station = station_at(broker.port, tmp_path)
        before = None
        for number in range(50):
            connection = PahoConnection(station, number + 1, lambda event: None, lambda *_: None, lambda it: None)
            connection.run(threading.Event())
            before = before or count()
        time.sleep(0.2)  # the broker closes its own ends
        assert count() <= before + 2


def test_a_link_whose_thread_has_ended_does_not_live(tmp_path):
    with FakeBroker([]) as broker:
        client = MqttClient(station_at(broker.port, tmp_path), lambda event: None, lambda *_: None)
        assert not client.lives
        with client:
            assert broker.subscribed.acquire(timeout=WAIT_S)
            assert client.lives
        client._thread.join(WAIT_S)
        assert not client.lives
