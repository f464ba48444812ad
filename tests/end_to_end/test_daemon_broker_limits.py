"""A broker that does not take everything: packets beyond its limit, topics that it refuses, all or in part."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from tests.support.tiny_bundle import write_pictures

LIMIT = 700  # the JSON line of a verdict with a short name is 590 bytes in its packet, with a long one 820
LONG = "long-name-" + "x" * 220


@pytest.fixture
def long_name(bench):
    """Pictures of which the second one's verdict has a long line."""
    write_pictures(bench.pictures, "ooo")
    second = sorted(bench.pictures.iterdir())[1]
    shutil.move(second, bench.pictures / f"{second.stem}-{LONG}.png")
    return bench.pictures


def seqs(payloads):
    return [int(payload.split(b";")[1]) for payload in payloads]


def heard(listener, count, wait_s=30):
    """The first `count` verdicts by their ASCII record, whatever is sent again between them."""
    found = {}
    while len(found) < count:
        payload = listener.next_on("verdict", wait_s=wait_s)
        found.setdefault(int(payload.split(b";")[1]), payload)
    return sorted(found)


def lines(listener):
    return [
        json.loads(payload)
        for topic, payload, _ in [*listener.seen, *list(listener.messages.queue)]
        if topic == "ev1/press/1/verdict/json"
    ]


def test_mqtt_5_a_line_beyond_the_stated_limit_is_held_back_and_said_and_everything_else_goes(
    bench, start_broker, long_name, make_listener
):
    broker = start_broker("allow_anonymous true", f"max_packet_size {LIMIT}")
    listener = make_listener(broker.port)
    daemon = bench.daemon(bench.station(broker.port, mqtt=', protocol: "5"', source=", loop: true", mode="triggered"))
    listener.wait_state("READY")
    for number in (1, 2, 3):
        listener.send("trigger", f"{number};0;".encode())
        assert heard(listener, 1) == [number]
    listener.next_on("state", lambda payload: payload.startswith(b"DEGRADED;305;"))
    listener.wait_for_one("counters", lambda payload: payload.startswith(b"3;") and payload.endswith(b";1"))
    assert daemon.terminate() == 0
    assert {line["seq"] for line in lines(listener)} == {1, 3}
    found = re.findall(
        r"verdict 2: its record on ev1/press/1/verdict/json \(\d+ bytes, packet \d+\) is held back", daemon.log
    )
    assert len(found) == 1
    assert f"is beyond the broker's limit of {LIMIT}" in daemon.log
    assert "another client" not in daemon.log
    assert "the connection was lost" not in daemon.log
    assert "1 wait for the broker" in daemon.log


def test_mqtt_3_a_message_that_ends_the_connection_again_and_again_is_held_back_also_after_a_restart(
    bench, start_broker, long_name, make_listener
):
    broker = start_broker("allow_anonymous true", f"max_packet_size {LIMIT}")
    listener = make_listener(broker.port)
    station = bench.station(broker.port)
    daemon = bench.daemon(station)
    listener.next_on("verdict/json", lambda payload: b'"seq":3,' in payload, wait_s=30)
    assert daemon.terminate() == 0
    assert "it may be beyond the broker's limit: let it take packets of 7" in daemon.log
    assert "another client" not in daemon.log
    assert {line["seq"] for line in lines(listener)} == {1, 3}
    assert set(seqs(payload for topic, payload, _ in listener.seen if topic == "ev1/press/1/verdict")) == {1, 2, 3}
    daemon = bench.daemon(station)  # it judges the same pictures again, from number 4
    listener.next_on("verdict/json", lambda payload: b'"seq":6,' in payload, wait_s=30)
    assert daemon.terminate() == 0


def test_a_limit_that_was_raised_lets_the_line_that_was_held_back_go(bench, start_broker, long_name, make_listener):
    small = start_broker("allow_anonymous true", f"max_packet_size {LIMIT}")
    listener = make_listener(small.port)
    bench.daemon(bench.station(small.port, mqtt=', protocol: "5"'))
    assert heard(listener, 3) == [1, 2, 3]
    listener.next_on("verdict/json", lambda payload: b'"seq":3,' in payload)
    small.configure(f"max_packet_size {LIMIT}", "max_packet_size 2000")
    small.stop()
    small.start()
    listener.wait_subscribed()
    listener.next_on("counters", lambda payload: payload.endswith(b";0"), wait_s=30)  # nothing waits any more


@pytest.fixture
def ruled(start_broker, tmp_path):
    """A broker with an access list: `deny` takes the rights away that a station needs."""

    def start(rules, ends_connections=False):
        (tmp_path / "acl").write_text(rules)
        # With max_queued_messages 0, as these brokers have it otherwise, mosquitto 2.0 ends the connection instead.
        more = () if ends_connections else ("max_queued_messages 1000",)
        return start_broker("allow_anonymous true", f"acl_file {tmp_path}/acl", *more)

    return start


NOT_VERDICTS = "topic read ev1/#\n" + "".join(
    f"topic write ev1/press/1/{name}\n"
    for name in ("state", "counters", "heartbeat", "trigger/#", "command/#", "replay/#")
)
ALL = "topic readwrite ev1/#\n"


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("3.1.1", "does not come back on ev1/press/1/verdict/json: let its access list write and read this topic"),
        ("5", "is held back: the broker refuses it (Not authorized)"),
    ],
)
def test_a_station_whose_verdicts_the_broker_drops_is_not_ready_says_so_and_goes_on_when_it_may(
    bench, ruled, make_listener, protocol, said
):
    write_pictures(bench.pictures, "ooo")
    broker = ruled(NOT_VERDICTS)
    listener = make_listener(broker.port)
    daemon = bench.daemon(
        bench.station(broker.port, mqtt=f', protocol: "{protocol}"', source=", loop: true", mode="triggered")
    )
    listener.wait_state("READY")
    listener.send("trigger", b"1;0;")
    listener.next_on("state", lambda payload: payload.startswith(b"NOTREADY;305;"), wait_s=30)
    listener.send("trigger", b"2;0;")
    assert listener.next_on("trigger/ack", lambda payload: payload.startswith(b"2;")) == b"2;NOTREADY"
    (bench.folder / "acl").write_text(ALL)
    broker.reread()
    assert heard(listener, 1) == [1]
    listener.wait_state("READY")
    listener.wait_for("counters", b"1;1;0;0;1;0;0")  # one verdict, one trigger missed, none waits
    assert daemon.terminate() == 0
    assert said in daemon.log


def test_a_consumer_that_acknowledges_shows_that_verdicts_arrive_where_the_station_may_not_read_them(
    bench, ruled, make_listener
):
    write_pictures(bench.pictures, "ooo")
    broker = ruled(
        ALL + "user press\ntopic write ev1/#\ntopic read ev1/press/1/+\ntopic read ev1/press/1/verdict/ack\n"
    )
    listener = make_listener(broker.port)
    daemon = bench.daemon(bench.station(broker.port, mqtt=", user: press", source=", loop: true", mode="triggered"))
    listener.wait_state("READY")
    listener.send("trigger", b"1;0;")
    listener.next_on("state", lambda payload: payload.startswith(b"NOTREADY;305;"), wait_s=30)
    listener.send("verdict/ack", b"1")
    listener.wait_state("READY")
    listener.send("trigger", b"2;0;")
    listener.next_on("verdict", lambda payload: payload.startswith(b"1;0000000002;"))
    assert daemon.terminate() == 0
    assert "verdicts reach a consumer and do not come back to this station" in daemon.log


def test_a_broker_that_ends_the_connection_for_what_it_forbids_is_found_out_and_said(bench, ruled, make_listener):
    write_pictures(bench.pictures, "ooo")
    broker = ruled(NOT_VERDICTS, ends_connections=True)
    listener = make_listener(broker.port)
    daemon = bench.daemon(bench.station(broker.port, source=", loop: true", mode="triggered"))
    listener.wait_state("READY")
    listener.send("trigger", b"1;0;")
    listener.next_on("state", lambda payload: payload.startswith(b"NOTREADY;305;the broker ends"), wait_s=30)
    assert daemon.terminate() == 0
    assert "the broker ends the connection for it: check its access list for ev1/press/1/verdict" in daemon.log
    assert "1 wait for the broker" in daemon.log
