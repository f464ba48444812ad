"""A process on a made-up device: `tensorrt`, `pycuda.driver` and libcuda.so.1 are those of fake_nvidia.py.

environment = write_stack(folder, "10.3", Mishap.OUT_OF_MEMORY)
subprocess.run([sys.executable, "-c", "from edge_build.cli import main; main()", "compile", ...], env=environment)

The process is told by its environment what to be and what happens in its compiler. It writes its number into the file
`MARK` of the folder when it comes to a mishap that hangs, so that a test can end it just there.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from enum import Enum
from pathlib import Path

MARK = "hangs"
STEP_S = 6.0  # how long a step of the compiler takes, by its process's clock
HANGS_S = 60.0
MODULES = {
    "sitecustomize.py": "from tests.support import fake_stack\nfake_stack.replace_driver()\n",
    "tensorrt.py": "import sys\nfrom tests.support import fake_stack as f\nsys.modules[__name__] = f.device().trt\n",
    "pycuda/__init__.py": "",
    "pycuda/driver.py": "import sys, tests.support.fake_stack as f\nsys.modules[__name__] = f.device().cuda\n",
}


class Mishap(str, Enum):
    """What happens to the process."""

    NONE = "none"
    NO_DRIVER = "no driver"
    OUT_OF_MEMORY = "out of memory"
    KILLED = "killed"  # by the kernel
    HANGS_IN_COMPILER = "hangs in the compiler"
    HANGS_IN_WRITING = "hangs in writing"


def write_stack(folder: Path, version: str, mishap: Mishap = Mishap.NONE) -> dict[str, str]:
    """Write the modules of a device below `folder`; returns the environment of a process on it."""
    for name, text in MODULES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2]), *filter(None, sys.path)])
    environment = {"FAKE_TENSORRT": version, "FAKE_MISHAP": mishap.value, "FAKE_FOLDER": str(folder)}
    return {**os.environ, "PYTHONPATH": path, "TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "200", **environment}


def replace_driver() -> None:
    """Let `ctypes.CDLL("libcuda.so.1")` give the device's driver, or find none."""
    import ctypes

    class Library(ctypes.CDLL):
        def __new__(cls, name, *arguments, **options):
            if name != "libcuda.so.1":
                return super().__new__(cls)
            if Mishap(os.environ["FAKE_MISHAP"]) is Mishap.NO_DRIVER:
                raise OSError(f"{name}: cannot open shared object file")
            return device().driver

    ctypes.CDLL = Library


_DEVICES: list = []


def device():
    """The process's one device."""
    if not _DEVICES:
        from tests.support.fake_nvidia import FakeDevice

        _DEVICES.append(_with_mishap(FakeDevice(os.environ["FAKE_TENSORRT"])))
    return _DEVICES[0]


def _with_mishap(made):
    mishap, slept, monotonic = Mishap(os.environ["FAKE_MISHAP"]), [0.0], time.monotonic
    time.monotonic = lambda: monotonic() + slept[0]
    made.on_step = lambda: slept.append(slept.pop() + STEP_S)
    if mishap is Mishap.OUT_OF_MEMORY:
        made.build_fails_with = ["Error Code 2: OutOfMemory (Requested size was 2147483648 bytes.)"]
    elif mishap is Mishap.KILLED:
        made.on_build = lambda: os.kill(os.getpid(), signal.SIGKILL)
    elif mishap is Mishap.HANGS_IN_COMPILER:
        made.on_build = _hang
    elif mishap is Mishap.HANGS_IN_WRITING:
        os.fchmod = lambda file, mode: _hang()
    return made


def _hang() -> None:
    mark = Path(os.environ["FAKE_FOLDER"]) / MARK
    mark.with_suffix(".new").write_text(str(os.getpid()))
    mark.with_suffix(".new").rename(mark)
    time.sleep(HANGS_S)
