"""25,000 messages in a second: the station answers, logs and stops as if there were few."""

from __future__ import annotations

import time

from tests.support.tiny_bundle import write_pictures


def test_a_flood_of_everything_leaves_a_bound_on_answers_log_and_memory_and_does_not_delay_the_end(
    bench, broker, listener
):
    write_pictures(bench.pictures, "on")
    daemon = bench.daemon(bench.station(broker.port, source=", loop: true", mode="triggered"))
    listener.wait_state("READY")
    for _ in range(2000):
        listener.client.publish("ev1/press/1/command", b"SELFTEST", 0)
    for number in range(15_000):
        listener.client.publish("ev1/press/1/trigger", f"{number + 1};{1 + number % 60_000};x".encode(), 0)
        if number % 3 == 0:
            listener.client.publish("ev1/press/1/replay", b"0;4294967295", 0)
        if number % 5 == 0:
            listener.client.publish("ev1/press/1/verdict/ack", f"nonsense {number}".encode(), 0)
    listener.send("trigger", b"4000000000;0;")  # behind all of them
    assert listener.next_on("trigger/ack", lambda payload: payload.startswith(b"4000000000;"), wait_s=60)
    listener.next_on("verdict/json", lambda payload: b'"trigger_id":4000000000,' in payload, wait_s=60)
    began = time.monotonic()
    assert daemon.terminate() == 0
    assert time.monotonic() - began < 10
    assert daemon.log.count("\n") < 40
    assert "the connection was lost" not in daemon.log
