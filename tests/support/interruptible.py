"""A process that a test kills, lets hang, and lets go on."""

from __future__ import annotations

import signal
import subprocess
from typing import Any


class Interruptible:
    """process: None when it does not run; whoever starts it sets it."""

    process: subprocess.Popen[Any] | None = None

    def kill(self) -> None:
        """SIGKILL: the power is off, or the cable pulled."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """It hangs from now on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
