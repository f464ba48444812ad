"""Free-running through outages of a real broker: every verdict arrives, and no old one without the replay flag."""

from __future__ import annotations

import queue
import signal
import time

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.support.mqtt_end import end
from tests.support.tiny_bundle import write_pictures

from edge_runtime.mqtt.delivery import LIVE_WINDOW
from edge_runtime.records import Flag
from edge_runtime.wire.verdict_binary import decode_binary
from edge_runtime.wire.verdict_json import decode_json

OLD_S = 2.0
WAIT_S = 60


class Plc:
    """Takes binary records, and notes how old each was on its arrival."""

    def __init__(self, port):
        self.records: queue.Queue[tuple[int, int, float]] = queue.Queue()  # seq, flags, age in seconds
        self.client = paho.Client(CallbackAPIVersion.VERSION2, "plc", clean_session=True)
        self.client.reconnect_delay_set(0.05, 0.05)  # sooner than the station, to miss nothing
        self.client.on_connect = lambda client, *_: client.subscribe("ev1/press/1/verdict/bin", 1)
        self.client.on_message = self._take
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _take(self, client, userdata, message):
        record = decode_binary(bytes(message.payload))
        self.records.put((record.seq, record.flags, time.time() - record.unix_ms / 1000))

    def take_until(self, seq):
        """What arrives up to a live verdict that is this one or a later one."""
        found = []
        while not found or found[-1][0] < seq or found[-1][1] & Flag.REPLAY:
            found.append(self.records.get(timeout=WAIT_S))
        return found

    def take_rest(self):
        """What arrives until nothing more does for a while."""
        found = []
        while True:
            try:
                found.append(self.records.get(timeout=1.5))
            except queue.Empty:
                return found

    def close(self):
        end(self.client)


@pytest.fixture
def plc(broker):
    plc = Plc(broker.port)
    yield plc
    plc.close()


@pytest.fixture
def count(bench):
    """The pictures of a free-running station, one every 50 ms."""
    count = 400
    write_pictures(bench.pictures, "on" * (count // 2))
    return count


def old_and_unflagged(records):
    return [r for r in records if r[2] > OLD_S and not r[1] & Flag.REPLAY]


def assert_every_verdict_arrived(records, count, listener):
    # What was confirmed and not passed on died with the broker: a consumer sees the gap and asks for it.
    missing = sorted(set(range(1, count + 1)) - {seq for seq, _, _ in records})
    for seq in missing:
        listener.send("replay", f"{seq};{seq}")
    replayed = [decode_json(line) for line in listener.take("replay/data", len(missing))]
    assert [v.seq for v in replayed] == missing
    assert all(v.flags & Flag.REPLAY for v in replayed)


def run_through(broker, bench, plc, listener, count, outage):
    bench.daemon(bench.station(broker.port, source=", fps: 20"))
    records = plc.take_until(20)
    outage()
    listener.next_on("counters", lambda p: p.startswith(b"%d;" % count) and p.endswith(b";0"), wait_s=WAIT_S)
    return records + plc.take_rest()


def test_after_a_broker_was_killed_and_away_nothing_old_comes_without_the_flag(bench, broker, listener, plc, count):
    def outage():
        broker._process.send_signal(signal.SIGSTOP)  # so that some verdicts are surely on their way when it dies
        time.sleep(0.5)
        broker.stop()
        time.sleep(6)
        broker.start()
        listener.wait_subscribed()

    records = run_through(broker, bench, plc, listener, count, outage)
    assert old_and_unflagged(records) == []
    assert [r for r in records if r[2] > OLD_S]  # some were old, and had it
    assert_every_verdict_arrived(records, count, listener)


def test_after_a_broker_hung_and_was_killed_nothing_old_comes_without_the_flag(bench, broker, listener, plc, count):
    def outage():
        broker._process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        broker.stop()
        broker.start()
        listener.wait_subscribed()

    records = run_through(broker, bench, plc, listener, count, outage)
    assert old_and_unflagged(records) == []
    assert [r for r in records if r[2] > OLD_S]
    assert_every_verdict_arrived(records, count, listener)


def test_a_broker_that_hung_and_goes_on_passes_on_no_more_old_ones_than_the_window(bench, broker, listener, plc, count):
    def outage():
        broker._process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        broker._process.send_signal(signal.SIGCONT)

    records = run_through(broker, bench, plc, listener, count, outage)
    assert len(old_and_unflagged(records)) <= LIVE_WINDOW  # the broker had these before it hung
    assert {seq for seq, _, _ in records} == set(range(1, count + 1))
