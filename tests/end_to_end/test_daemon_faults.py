"""The real process with a camera and an engine that fail: whatever happens, no part is left without its verdict."""

from __future__ import annotations

import json
import os
import socket

import pytest
from tests.support.tiny_bundle import write_pictures

from edge_runtime.records import Flag, Outcome
from edge_runtime.wire.verdict_binary import decode_binary

WAIT_S = 15
WATCHDOG_S = 2.0


class Systemd:
    """Listens to what the daemon notifies."""

    def __init__(self, bench, watchdog_s=WATCHDOG_S):
        self.bench, self.watchdog_s = bench, watchdog_s
        self.path = bench.folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))

    def start(self, station, faults):
        watchdog_usec = str(round(self.watchdog_s * 1e6))
        return self.bench.daemon(station, faults=faults, NOTIFY_SOCKET=str(self.path), WATCHDOG_USEC=watchdog_usec)

    def hear(self, within_s):
        """What it says next; None when it says nothing in time."""
        self.socket.settimeout(within_s)
        try:
            return self.socket.recv(100).decode()
        except TimeoutError:
            return None


@pytest.fixture
def systemd(bench):
    systemd = Systemd(bench)
    yield systemd
    systemd.socket.close()


@pytest.fixture
def faults(bench):
    return bench.folder / "fault"


def send(listener, trigger_id, fault, faults):
    faults.write_text(fault)
    listener.send("trigger", f"{trigger_id};12;PART-{trigger_id}")
    assert listener.next_on("trigger/ack") == b"%d;ACCEPTED" % trigger_id
    verdict = decode_binary(listener.next_on("verdict/bin"))
    assert verdict.trigger_id == trigger_id
    return verdict


def test_a_hung_engine_is_error_by_the_deadline_then_the_watchdog_restarts_and_the_next_part_is_judged(
    bench, broker, listener, systemd, faults
):
    write_pictures(bench.pictures, "oooo")
    station = bench.station(broker.port, mode="triggered", recipe=12, deadline_ms=500)
    daemon = systemd.start(station, faults)
    # given READY only after the self-test, and a watchdog that is fed while nothing is to do
    assert systemd.hear(WAIT_S) == "READY=1"
    listener.wait_state("READY")
    assert [systemd.hear(WAIT_S) for _ in range(3)] == ["WATCHDOG=1"] * 3
    assert send(listener, 5, "", faults).outcome is Outcome.OK
    # when the engine hangs, the part has its ERROR by the deadline, and the state says why
    verdict = send(listener, 6, "hang", faults)
    assert (verdict.outcome, verdict.error) == (Outcome.ERROR, 301)
    assert listener.wait_state("FAULT") == b"FAULT;205;the engine does not answer"
    listener.send("trigger", "7;12;PART-7")
    assert listener.next_on("trigger/ack") == b"7;NOTREADY"
    # the watchdog is not fed any more, although the process lives: the heartbeat goes on
    while systemd.hear(WATCHDOG_S) is not None:
        pass
    assert daemon.process.poll() is None
    listener.next_on("heartbeat")
    daemon.kill()
    # then the next start judges again, and the part that had its verdict gets no other
    systemd.start(station, faults.with_name("no faults"))
    listener.wait_state("READY")
    assert send(listener, 8, "", faults).outcome is Outcome.OK
    bins = [decode_binary(p) for t, p, _ in listener.seen if t.endswith("/verdict/bin")]
    assert [(v.trigger_id, v.error) for v in bins if not v.flags & Flag.REPLAY] == [(5, 0), (6, 301), (8, 0)]


def test_a_trigger_that_the_watchdog_cut_off_before_its_deadline_is_error_after_the_restart(
    bench, broker, listener, systemd, faults
):
    write_pictures(bench.pictures, "oo")
    station = bench.station(broker.port, mode="triggered", recipe=12, deadline_ms=1000)
    daemon = systemd.start(station, faults)
    listener.wait_state("READY")
    faults.write_text("stuck")
    listener.send("trigger", "6;12;PART-6")
    assert listener.next_on("trigger/ack") == b"6;ACCEPTED"
    daemon.kill()
    systemd.start(station, faults.with_name("no faults"))
    verdict = decode_binary(listener.next_on("verdict/bin"))
    assert (verdict.trigger_id, verdict.outcome) == (6, Outcome.ERROR)
    assert verdict.error in (302, 101)  # 101 where the machine was so slow that its deadline passed first


def test_no_fault_of_the_camera_or_the_engine_reads_as_ok(bench, broker, listener, faults):
    write_pictures(bench.pictures, "o" * 40)
    station = bench.station(broker.port, mode="triggered", recipe=12, deadline_ms=2000)
    bench.daemon(station, faults=faults)
    listener.wait_state("READY")
    expected = {
        "": 0, "lost": 101, "unreadable": 102, "wrong-format": 103, "black": 104, "hot": 104, "white": 105,
        "short": 106, "stale": 107, "frozen": 108, "same-stamp": 108,
        "fail": 201, "crash": 204, "nan": 202, "inf": 202, "nan-map": 202,
    }  # fmt: skip
    found = {}
    for trigger_id, word in enumerate(expected, 1):
        verdict = send(listener, trigger_id, word, faults)
        found[word] = verdict.error
        assert verdict.outcome is (Outcome.ERROR if word else Outcome.OK), word
        listener.next_on("state", lambda payload: payload.startswith((b"READY", b"DEGRADED")))
    assert found == expected


def test_a_file_name_that_is_no_utf_8_is_judged_committed_and_there_after_a_restart(bench, broker, listener):
    write_pictures(bench.pictures, "on")
    (bench.pictures / "0000.png").rename(bench.pictures / os.fsdecode(b"b\xff\n\x1b[2J.png"))
    station = bench.station(broker.port)
    daemon = bench.daemon(station, "--once")
    names = {json.loads(payload)["source"] for payload in listener.take("verdict/json", 2)}
    assert daemon.wait() == 0
    assert names == {"b\\udcff\\n\\x1b[2J.png", "0001.png"}
    listener.wait_state("OFFLINE")
    bench.daemon(station)
    listener.wait_state("READY")
    listener.send("replay", "1;2")
    assert {json.loads(payload)["source"] for payload in listener.take("replay/data", 2)} == names
