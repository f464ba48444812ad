"""Faults on real parts, counted: each figure of docs/reliability.md by one command.

    .venv/bin/python benchmarks/faults.py kills --count 1000

Exit 1 when anything was lost, conflicting, falsely OK or unanswered.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from _faults.kills import kill_daemon


def main() -> None:
    """Run one kind of fault and print what came of it."""
    options = _options()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edge-faults-", dir=options.work) as name:
        account = kill_daemon(Path(name) / "stand", options.count, options.seed)
    found = {
        "fault": options.fault,
        "count": options.count,
        **asdict(account),
        "seconds": round(time.monotonic() - began_s),
    }
    print(json.dumps(found))
    sys.exit(0 if account.is_clean else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("fault", choices=["kills"])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="the disk to work on; the default is the temporary folder's")
    return parser.parse_args()


if __name__ == "__main__":
    main()
