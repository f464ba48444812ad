"""A subscriber of another make, over MQTT 5, understands the same: gmqtt beside paho."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.tiny_bundle import write_pictures

from edge_runtime.wire.verdict_binary import decode_binary

gmqtt = pytest.importorskip("gmqtt", reason="needs gmqtt: pip install gmqtt")
WAIT_S = 30


async def records_of(port, topic, count, start):
    """The payloads of so many messages on a topic, from `start()` on."""
    payloads, subscribed, done = [], asyncio.Event(), asyncio.Event()
    client = gmqtt.Client("another-make")
    client.on_subscribe = lambda *_: subscribed.set()

    def take(_client, _topic, payload, _qos, _properties):
        payloads.append(bytes(payload))
        if len(payloads) == count:
            done.set()
        return 0

    client.on_message = take
    await client.connect("127.0.0.1", port)
    client.subscribe(topic, qos=1)
    await asyncio.wait_for(subscribed.wait(), WAIT_S)
    start()
    await asyncio.wait_for(done.wait(), WAIT_S)
    await client.disconnect()
    return payloads


def test_another_library_receives_every_verdict_as_it_is(bench, broker):
    write_pictures(bench.pictures, "onx" * 5)
    station = bench.station(broker.port)
    payloads = asyncio.run(
        records_of(broker.port, "ev1/press/1/verdict/bin", 15, lambda: bench.daemon(station, "--once"))
    )
    verdicts = sorted(map(decode_binary, payloads), key=lambda verdict: verdict.seq)  # live ones go before the backlog
    assert [verdict.seq for verdict in verdicts] == list(range(1, 16))
    assert [verdict.outcome.name for verdict in verdicts] == ["OK", "NOK", "ERROR"] * 5
