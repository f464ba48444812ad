"""Faults on real parts, counted: each figure of docs/reliability.md by one command.

    .venv/bin/python benchmarks/faults.py kills --count 1000
    .venv/bin/python benchmarks/faults.py broker --count 200
    .venv/bin/python benchmarks/faults.py power --count 500          # as root

Exit 1 when anything was lost, conflicting, falsely OK or unanswered.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from _faults.broker_kills import kill_broker
from _faults.kills import kill_daemon
from _faults.power_cuts import cut_power

FAULTS = {"kills": kill_daemon, "broker": kill_broker, "power": cut_power}


def main() -> None:
    """Run one kind of fault and print what came of it."""
    options = _options()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edge-faults-", dir=options.work) as name:
        account = FAULTS[options.fault](Path(name) / "stand", options.count, options.seed)
    found = {"fault": options.fault, "count": options.count, **asdict(account)}
    print(json.dumps({**found, "seconds": round(time.monotonic() - began_s), "load": round(os.getloadavg()[0], 1)}))
    sys.exit(0 if account.is_clean else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("fault", choices=list(FAULTS))
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="the disk to work on; the default is the temporary folder's")
    return parser.parse_args()


if __name__ == "__main__":
    main()
