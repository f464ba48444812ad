"""Running something in a process of its own, for work that may take its process with it.

    in_child(lambda: compile_engine(...), progress, "compiling")

On a board whose memory runs out the kernel kills the compiler without a word. Here the parent survives, and says so; it
also says every few seconds that the work goes on, whatever the work itself says.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

from edge_build.progress import Progress
from edge_runtime.engines.tensorrt.errors import CompilerRefusedError, OutOfMemoryError
from edge_runtime.errors import EdgeError

BUG = 70  # sysexits.h, EX_SOFTWARE
LOOK_EVERY_S = 0.05


class ChildFailedError(EdgeError):
    """The child printed what was wrong and ended with this code; there is nothing to add."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


def in_child(work: Callable[[], None], progress: Progress, what: str, say_every_s: float = 15.0) -> None:
    """Fork, do the work there, wait for its end. `work` must not need a thread of the parent.

    Raises ChildFailedError with the exit code of the EdgeError that the work raised (and whose message it printed),
    OutOfMemoryError when the kernel killed it, CompilerRefusedError when it crashed. Ctrl-C ends the child first.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _be_the_child(work)
    started = last = time.monotonic()
    try:
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            time.sleep(LOOK_EVERY_S)
            if time.monotonic() - last >= say_every_s:
                last = time.monotonic()
                progress.say(f"{what} goes on ({last - started:.0f} s)")
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    _report(os.waitstatus_to_exitcode(status), what)


def _be_the_child(work: Callable[[], None]) -> None:
    """Never returns."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # a compiler does not look at Python's handlers for minutes
    code = BUG
    try:
        work()
        code = 0
    except EdgeError as error:
        print(f"edge-build: {error}", file=sys.stderr)
        code = error.exit_code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _report(code: int, what: str) -> None:
    if code == 0:
        return
    if code > 0:
        raise ChildFailedError(code)
    if -code in (signal.SIGINT, signal.SIGTERM):  # a person's, who may have reached the child alone
        raise KeyboardInterrupt
    if -code == signal.SIGKILL:
        raise OutOfMemoryError(
            f"{what} was killed, most likely by the kernel because the memory ran out (see `dmesg`). Stop the station "
            "and the desktop (sudo systemctl isolate multi-user), give the compiler less (--workspace 256), or add swap"
        )
    raise CompilerRefusedError(
        f"{what} crashed with {signal.Signals(-code).name}: this is a fault of TensorRT or of the driver; see `dmesg`, "
        "and make sure that both are of the same JetPack"
    )
