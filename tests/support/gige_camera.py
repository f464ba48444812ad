"""Aravis' simulated GigE Vision camera as a process: killed, started again, and losing packets on demand.

with GigeCamera() as camera:
    source = open_source(SourceSettings(uri=camera.uri), "triggered")
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from tests.support.interruptible import Interruptible

PROGRAM = shutil.which("arv-fake-gv-camera-0.8")
LOCK = Path(tempfile.gettempdir(), "edge-gige-camera.lock")
NEEDS = "needs aravis-tools, gir1.2-aravis-0.8 and PyGObject"


def has_aravis() -> bool:
    """Whether the simulated camera and its binding are installed."""
    if PROGRAM is None or find_spec("gi") is None:
        return False
    import gi

    try:
        gi.require_version("Aravis", "0.8")
    except ValueError:
        return False
    return True


class GigeCamera(Interruptible):
    """On loopback. GigE Vision has one control port, so only one may run at a time: others wait for its end."""

    uri = "aravis://127.0.0.1"

    def __init__(self, lost_per_thousand: int = 0, serial: str = "EDGE1") -> None:
        self._command = [PROGRAM or "", "-i", "127.0.0.1", "-s", serial, "-r", str(lost_per_thousand)]

    def start(self) -> None:
        """Power on."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.2)  # it answers within a tenth of a second
        if self.process.poll() is not None:
            raise RuntimeError(f"{self._command} ended with {self.process.returncode}")

    def __enter__(self) -> GigeCamera:
        self._lock = LOCK.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._lock.close()
