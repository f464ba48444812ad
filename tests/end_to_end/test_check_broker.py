"""`edge-daemon check` tries what `run` needs of the broker, on the station's own topics, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.support.tiny_bundle import write_pictures

from edge_runtime.errors import RecordError
from edge_runtime.wire.verdict_ascii import decode_ascii
from edge_runtime.wire.verdict_binary import decode_binary
from edge_runtime.wire.verdict_json import decode_json

DECODERS = {
    "verdict": decode_ascii,
    "verdict/bin": decode_binary,
    "verdict/json": decode_json,
    "replay/data": decode_json,
}
WRITTEN = ("state", "counters", "heartbeat", "trigger/ack", "command/ack", "replay/data")
NO_VERDICTS = "topic read ev1/#\n" + "".join(f"topic write ev1/press/1/{name}\n" for name in WRITTEN)


def check(bench, port, protocol="3.1.1"):
    """Its exit code, and what it says of the broker."""
    write_pictures(bench.pictures, "on")
    found = subprocess.run(
        [sys.executable, "-c", "from edge_runtime.cli import main; main()", "check",
         str(bench.station(port, mqtt=f', protocol: "{protocol}"'))],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    return found.returncode, [line for line in found.stdout.splitlines() if " broker 127" in line]


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
@pytest.mark.parametrize(
    ("configuration", "rating", "said"),
    [
        (("max_packet_size 1024",), "WRONG", "verdict/json"),
        (("max_packet_size 3000",), "WARN", "such records are held back, and the fixed ones go"),
        (("message_size_limit 1024",), "WRONG", "the broker ends the connection for it (1487 bytes)"),
        (("retain_available false",), "WRONG", ""),
        (("max_qos 0",), "WRONG", "QoS 0 only"),
    ],
)
def test_what_the_broker_does_not_take_or_offer_is_named(bench, start_broker, protocol, configuration, rating, said):
    broker = start_broker("allow_anonymous true", *configuration)
    code, lines = check(bench, broker.port, protocol)
    assert code == (0 if rating == "WARN" else 78)
    assert {line.split()[0] for line in lines} == {rating}
    assert said in " ".join(lines)


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("3.1.1", "it does not come back (61 bytes): let the broker's access list write this topic"),
        ("5", "Not authorized"),
    ],
)
def test_an_access_list_that_forbids_verdicts_is_found(bench, start_broker, tmp_path, protocol, said):
    (tmp_path / "acl").write_text(NO_VERDICTS)
    broker = start_broker("allow_anonymous true", f"acl_file {tmp_path}/acl", "max_queued_messages 1000")
    code, lines = check(bench, broker.port, protocol)
    assert code == 78
    assert "ev1/press/1/verdict:" in lines[0] or "ev1/press/1/verdict," in lines[0]
    assert said in lines[0]


def test_what_check_publishes_is_no_verdict_for_anyone_and_nothing_of_it_is_retained(bench, broker, make_listener):
    listener = make_listener(broker.port)
    code, lines = check(bench, broker.port)
    assert (code, lines) == (0, [f"ok     broker 127.0.0.1:{broker.port} delivers on every topic"])
    heard = [*listener.messages.queue]
    assert {topic.removeprefix("ev1/press/1/") for topic, _, _ in heard} >= DECODERS.keys()
    for topic, payload, _ in heard:
        decode = DECODERS.get(topic.removeprefix("ev1/press/1/"))
        if decode is not None:
            with pytest.raises((RecordError, ValueError)):
                decode(payload)
    later = make_listener(broker.port)
    later.send("probe", b"")
    later.next_on("probe")
    assert [topic for topic, _, retained in later.seen if retained] == []


def test_a_station_that_runs_is_not_disturbed(bench, broker, listener):
    write_pictures(bench.pictures, "on")
    daemon = bench.daemon(bench.station(broker.port, mode="triggered", source=", loop: true"))
    listener.wait_state("READY")
    heard = len(listener.seen)
    code, lines = check(bench, broker.port)
    assert code == 0, lines
    listener.send("probe", b"")
    listener.next_on("probe")
    states = {payload for topic, payload, _ in listener.seen[heard:] if topic == "ev1/press/1/state"}
    assert all(state.startswith(b"READY;000;") for state in states)
    beats = [int(payload) for topic, payload, _ in listener.seen if topic == "ev1/press/1/heartbeat"]
    assert beats == sorted(beats)
    assert daemon.terminate() == 0
    assert "connection was lost" not in daemon.log
