"""The longest payload of each topic, made from the longest of everything: what docs/reference/mqtt.md says of them."""

from __future__ import annotations

import re
from pathlib import Path

from edge_runtime.monitoring.counters import CounterValues
from edge_runtime.mqtt.broker_limits import packet_bytes
from edge_runtime.wire.longest import longest_line
from edge_runtime.wire.states import STATE_LENGTH
from edge_runtime.wire.topics import MAX_LENGTH

PAGE = (Path(__file__).parents[3] / "docs/reference/mqtt.md").read_text(encoding="utf-8")


def shown():
    rows = re.findall(r"^\| (`/.*?) \| ([\d,]+) \| ([\d,]+) \|$", PAGE, re.MULTILINE)
    return {topics: (int(payload.replace(",", "")), int(packet.replace(",", ""))) for topics, payload, packet in rows}


def test_the_page_has_the_longest_payload_of_each_topic():
    ten_digits = 10**10 - 1  # a count that no station reaches
    third = ten_digits // 3  # of these the first number is the sum
    counters = CounterValues(third, third, third, *[ten_digits] * 4)
    found = {topics: payload for topics, (payload, _) in shown().items()}
    assert found == {
        "`/verdict`": 61,
        "`/verdict/bin`": 64,
        "`/verdict/json`, `/replay/data`": len(longest_line()),
        "`/state`, `/trigger/ack`, `/command/ack`": STATE_LENGTH,
        "`/counters`": len(counters.payload()),
    }


def test_the_page_has_the_longest_packet_of_each_topic():
    ends = {topics: max(re.findall("/[a-z/]+", topics), key=len) for topics in shown()}
    longest_station = "x" * (MAX_LENGTH - len("/verdict/json"))
    assert {topics: packet for topics, (_, packet) in shown().items()} == {
        topics: packet_bytes(longest_station + end, bytes(shown()[topics][0])) for topics, end in ends.items()
    }
