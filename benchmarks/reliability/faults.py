"""Faults on real parts, counted: each figure of docs/explanation/reliability.md by one command.

    python -m benchmarks.reliability.faults kills --count 1000
    python -m benchmarks.reliability.faults broker --count 200
    python -m benchmarks.reliability.faults power --count 500          # as root
    python -m benchmarks.reliability.faults triggers --count 10000
    python -m benchmarks.reliability.faults outage --count 864000
    python -m benchmarks.reliability.faults drain --count 100000
    python -m benchmarks.reliability.faults soak --count 100000
    python -m benchmarks.reliability.faults clocks --count 1000              # triggers; needs libfaketime
    python -m benchmarks.reliability.faults names --count 1000
    python -m benchmarks.reliability.faults packets --count 1000             # triggers
    python -m benchmarks.reliability.faults limits --count 1000              # parts
    python -m benchmarks.reliability.faults floods --count 1000              # triggers
    python -m benchmarks.reliability.faults camera-triggers --count 10000
    python -m benchmarks.reliability.faults camera-kills --count 200
    python -m benchmarks.reliability.faults camera-packets --count 600       # seconds
    python -m benchmarks.reliability.faults camera-datagrams --count 600     # seconds
    python -m benchmarks.reliability.faults rtsp-kills --count 50
    python -m benchmarks.reliability.faults ftp --count 10000                # as root; a kill every 20
    python -m benchmarks.reliability.faults share --count 60                 # seconds; as root

Exit 1 when anything was lost, conflicting, falsely OK or unanswered.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tests.support.faults.broker_kills import kill_broker
from tests.support.faults.cameras import kill_camera, lose_datagrams, lose_packets, trigger_camera
from tests.support.faults.clocks import step_clock
from tests.support.faults.drain import drain_backlog
from tests.support.faults.dropped_pictures import drop_by_ftp, stall_share
from tests.support.faults.floods import flood
from tests.support.faults.kills import kill_daemon
from tests.support.faults.limits import change_limits
from tests.support.faults.odd_names import name_pictures_oddly
from tests.support.faults.outage import spool_a_day
from tests.support.faults.packets import inject_packets
from tests.support.faults.power_cuts import cut_power
from tests.support.faults.soak import soak
from tests.support.faults.streams import kill_rtsp_server
from tests.support.faults.triggers import trigger_through_faults


class Result(Protocol):
    """The figures of one kind of fault, a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""


FAULTS: dict[str, Callable[[Path, int, int], Result]] = {
    "kills": kill_daemon,
    "broker": kill_broker,
    "power": cut_power,
    "triggers": trigger_through_faults,
    "outage": spool_a_day,
    "drain": drain_backlog,
    "soak": soak,
    "clocks": step_clock,
    "names": name_pictures_oddly,
    "packets": inject_packets,
    "limits": change_limits,
    "floods": flood,
    "camera-triggers": trigger_camera,
    "camera-kills": kill_camera,
    "camera-packets": lose_packets,
    "camera-datagrams": lose_datagrams,
    "rtsp-kills": kill_rtsp_server,
    "ftp": drop_by_ftp,
    "share": stall_share,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one kind of fault and print what came of it."""
    options = command_line().parse_args(arguments)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edge-faults-", dir=options.work) as name:
        result = FAULTS[options.fault](Path(name) / "stand", options.count, options.seed)
    found = {"fault": options.fault, "count": options.count, **asdict(result)}
    print(json.dumps({**found, "seconds": round(time.monotonic() - began_s), "load": round(os.getloadavg()[0], 1)}))
    sys.exit(0 if result.is_clean else 1)


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fault", choices=list(FAULTS))
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="the disk to work on; the default is the temporary folder's")
    return parser


if __name__ == "__main__":
    main()
