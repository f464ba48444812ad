"""After an outage the backlog drains in order, and live verdicts hardly notice.

A spool with a backlog, a real daemon that judges ten pictures a second, a real broker, and a subscriber that notes when
what arrived. How long live verdicts take is measured in the same run with the backlog and, afterwards, without it.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_runtime.mqtt.paho_connection import send_at_once
from edge_runtime.records import Flag
from edge_runtime.storage.recovery import open_spool
from edge_runtime.storage.retention import Retention
from edge_runtime.wire.verdict_binary import BinaryVerdict, decode_binary
from tests.support.faults.made_verdicts import fill
from tests.support.faults.stand import PREFIX, Stand

FPS = 10
QUIET_S = 30.0  # how long live verdicts are measured without a backlog


@dataclass(frozen=True)
class Drain:
    """What came of it. Times are from a live verdict's stamp to its arrival."""

    backlog: int
    per_s: float
    out_of_order: int
    missing: int
    live_with: int
    live_without: int
    median_with_ms: float
    median_without_ms: float
    p99_with_ms: float
    p99_without_ms: float
    cpu_ms_per_verdict: float  # of the daemon, while the backlog drained

    @property
    def is_clean(self) -> bool:
        """Whether everything came, in order. The times are for people to judge (wanted: 500 a second, and 50 ms
        more at the 99th percentile at most): the machine may be busy."""
        return not (self.out_of_order or self.missing)


def drain_backlog(folder: Path, count: int, seed: int = 0, quiet_s: float = QUIET_S) -> Drain:
    """Let a backlog of so many verdicts drain beside live ones."""
    with Stand(folder, "on") as stand:
        with open_spool(folder / "state", Retention()) as spool:
            fill(spool, count, seed, last_ms=time.time_ns() // 1_000_000)
        arrivals: list[tuple[BinaryVerdict, float]] = []
        drained = threading.Event()

        def take(client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
            verdict = decode_binary(bytes(message.payload))
            arrivals.append((verdict, time.time()))
            if verdict.seq == count:
                drained.set()

        subscriber = paho.Client(CallbackAPIVersion.VERSION2, "subscriber")
        subscriber.on_message = take
        subscriber.on_socket_open = lambda _client, _userdata, sock: send_at_once(sock)
        subscriber.connect("127.0.0.1", stand.broker.port)
        subscriber.subscribe(f"{PREFIX}/verdict/bin", 1)
        subscriber.loop_start()
        source = {"uri": f"folder://{folder / 'pictures'}", "loop": True, "fps": FPS}
        stand.start(stand.write_station(mode="free-running", source=source))
        drained.wait(60 + count / 50)
        drained_s, cpu_s = time.time(), cpu_seconds(stand.pid)
        time.sleep(quiet_s)
        subscriber.disconnect()
        subscriber.loop_stop()
    return _drain(arrivals, count, drained_s, cpu_s)


def _drain(arrivals: list[tuple[BinaryVerdict, float]], count: int, drained_s: float, cpu_s: float) -> Drain:
    old = [(v.seq, at_s) for v, at_s in arrivals if v.seq <= count]
    live = [(at_s, (at_s - v.unix_ms / 1000) * 1000) for v, at_s in arrivals if v.seq > count]
    live_unflagged = sum(not v.flags & Flag.REPLAY for v, _ in arrivals if v.seq > count)
    beside = [ms for at_s, ms in live if at_s <= drained_s]
    after = [ms for at_s, ms in live if at_s > drained_s]
    seqs = [seq for seq, _ in old]
    return Drain(
        backlog=count,
        per_s=round(len(old) / (old[-1][1] - old[0][1])),
        out_of_order=sum(a >= b for a, b in pairwise(seqs)) + len(live) - live_unflagged,
        missing=count - len(set(seqs)),
        live_with=len(beside),
        live_without=len(after),
        median_with_ms=round(float(np.median(beside)), 1),
        median_without_ms=round(float(np.median(after)), 1),
        p99_with_ms=round(float(np.percentile(beside, 99)), 1),
        p99_without_ms=round(float(np.percentile(after, 99)), 1),
        cpu_ms_per_verdict=round(cpu_s * 1000 / len(arrivals[: len(old) + len(beside)]), 2),
    )


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
