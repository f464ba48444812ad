"""A real RTSP server whose picture is always a defect: killed, started again, sometimes with another size."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from edge_runtime.records import Outcome
from tests.support.faults.consumer import Consumer
from tests.support.faults.ledger import Account
from tests.support.faults.stand import ROOT, Stand
from tests.support.ports import free_port

AGAIN_S = 60  # within this the station judges again after a kill


@dataclass(frozen=True)
class StreamRun:
    """What came of it."""

    kills: int
    nok: int
    errors: dict[int, int]
    longest_s: float  # from a server's start to the next judged frame
    account: Account

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return self.account.is_clean


class RtspServer:
    """The server as a process."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """What the station's file says."""
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def start(self, side: int = 64) -> None:
        """Power on."""
        command = [sys.executable, "-m", "tests.support.rtsp_server", str(self.port), str(side), str(side)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """The cable is pulled."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


def kill_rtsp_server(folder: Path, count: int, seed: int = 0) -> StreamRun:
    """Kill it so many times; every fifth time the pictures have another size when it is back."""
    chance, longest_s = random.Random(seed), 0.0
    with Stand(folder) as stand, RtspServer() as server:
        consumer = Consumer(stand.broker.port)
        stand.start(stand.write_station(source={"uri": server.uri, "fps": 20}, mode="free-running"))
        _judged(consumer, 1)
        for number in range(count):
            time.sleep(chance.uniform(0.0, 0.5))
            server.kill()
            time.sleep(chance.choice((0.0, 0.5, 2.0)))
            server.start(96 if number % 5 == 4 else 64)
            longest_s = max(longest_s, _judged(consumer, 3))
        stand.kill(15)
        consumer.wait_until_quiet()
        consumer.close()
    verdicts = consumer.ledger.verdicts()
    return StreamRun(
        kills=count,
        nok=sum(verdict.decision.outcome is Outcome.NOK for verdict in verdicts),
        errors=dict(Counter(int(v.decision.error) for v in verdicts if v.decision.outcome is Outcome.ERROR)),
        longest_s=round(longest_s, 1),
        account=replace(consumer.ledger.account(), false_ok=sum(v.decision.outcome is Outcome.OK for v in verdicts)),
    )


def _judged(consumer: Consumer, more: int) -> float:
    """Until so many more frames were judged; how long that took."""
    began_s, wanted = time.monotonic(), None
    while True:
        judged = sum(verdict.decision.outcome is Outcome.NOK for verdict in consumer.ledger.verdicts())
        wanted = judged + more if wanted is None else wanted
        if judged >= wanted:
            return time.monotonic() - began_s
        if time.monotonic() - began_s > AGAIN_S:
            raise TimeoutError(f"no frame was judged for {AGAIN_S} s")
        time.sleep(0.05)
