"""A process that has imported what `edge-daemon` needs and forks it on request: a start takes a tenth of a second then.

Reads the command line of one daemon per line, and writes the process id of each, and `ID exited STATUS` when it ends.
The child is `edge-daemon`'s own `main`; nothing runs before the fork but imports. With a control file, its engine
and its source fail as the file says: see hardware.py.
"""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path


def main() -> None:
    """Serve until the end of standard input."""
    import onnxruntime  # noqa: F401  # the slow imports, once
    import paho.mqtt.client  # noqa: F401

    from edge_runtime.cli import main as edge_daemon
    from edge_runtime.sources.folder import FolderSource
    from tests.support.faults.hardware import make_it_fail

    running: set[int] = set()
    while True:
        ready, _, _ = select.select([0], [], [], 0.01 if running else None)
        if ready:
            line = os.read(0, 65536)
            if not line:
                return
            request = json.loads(line)
            child = os.fork()
            if child == 0:
                log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(log, 2)
                os.dup2(os.open(os.devnull, os.O_RDWR), 0)
                os.dup2(2, 1)
                FolderSource.simulated = False  # the stand's folder of pictures stands for a camera
                if request["control"]:
                    make_it_fail(Path(request["control"]))
                sys.argv = ["edge-daemon", *request["arguments"]]
                status = 1
                try:
                    edge_daemon()
                    status = 0
                except SystemExit as end:
                    status = end.code if isinstance(end.code, int) else 1
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            running.add(child)
            print(child, flush=True)
        for child in list(running):
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                running.remove(child)
                print(f"{child} exited {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main()
