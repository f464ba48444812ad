"""A test stand: a folder with a tiny bundle and pictures, a broker that can be killed, and daemons that can be, too."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.support.interruptible import Interruptible
from tests.support.ports import free_port
from tests.support.tiny_bundle import write_bundle

ROOT = Path(__file__).parents[3]
MOSQUITTO = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
PREFIX = "ev1/press/1"


class Broker(Interruptible):
    """mosquitto on loopback, without a database of its own: when it is killed, everything that it held is gone."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self.configure("allow_anonymous true")

    def configure(self, *lines: str) -> None:
        """What is in its configuration besides its port; in force with the next start or `reread`."""
        more = ["user root"] if os.getuid() == 0 else []
        listener = [f"listener {self.port} 127.0.0.1", "max_queued_messages 0", "set_tcp_nodelay true"]
        self._config.write_text("\n".join([*listener, *lines, *more]) + "\n")

    def reread(self) -> None:
        """Let it read its configuration and its access list again, while it works."""
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        if MOSQUITTO is None:
            sys.exit("mosquitto is not installed: apt-get install mosquitto")
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


class Nursery:
    """Starts daemons quickly: see nursery.py."""

    def __init__(self, log: Path, control: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._log, self._control = log, control
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faults.nursery"],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._started: queue.Queue[int] = queue.Queue()
        self.exits: dict[int, int] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, station: Path, *options: str) -> int:
        """Start a daemon. Returns its process id."""
        assert self._process.stdin is not None
        request = {
            "arguments": ["run", str(station), *options],
            "log": str(self._log),
            "control": str(self._control or ""),
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        return self._started.get(timeout=60)

    def kill(self, pid: int, number: int = signal.SIGKILL, wait_s: float = 20.0) -> int:
        """Send a signal, and wait for the end. Returns the exit code."""
        if pid not in self.exits:
            with suppress(ProcessLookupError):  # it ended by itself just now
                os.kill(pid, number)
        deadline = time.monotonic() + wait_s
        while pid not in self.exits:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {pid} does not end")
            time.sleep(0.002)
        return self.exits[pid]

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        with self._process:  # closes its pipes, too
            self._process.stdin.close()
            self._process.wait()
            self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            words = line.split()
            if len(words) == 1:
                self._started.put(int(words[0]))
            else:
                self.exits[int(words[0])] = int(words[2])


class Stand:
    """Everything of one station, in a folder. A context manager: leaving it ends all that was started."""

    def __init__(
        self,
        folder: Path,
        pictures: str = "ondbgo",
        control: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """environment: what the daemons have in theirs, in addition."""
        self.folder, self._control, self._environment = folder, control, environment
        self._pictures = pictures
        self.log = folder / "daemon.log"

    def __enter__(self) -> Stand:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_bundle(self.folder / "bundle")
        write_pictures(self.folder / "pictures", self._pictures)
        self.broker = Broker(self.folder)
        self.broker.start()
        self.nursery = Nursery(self.log, self._control, self._environment)
        self.pid = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.broker.kill()
        if self.pid and self.pid not in self.nursery.exits:
            self.nursery.kill(self.pid)
        self.nursery.close()

    def write_station(self, port: int | None = None, state_dir: str = "state", **settings: object) -> Path:
        """The station's file; settings replace the ones that suit a test stand."""
        values: dict[str, object] = {
            "line": "press",
            "cell": "1",
            "bundle": str(self.folder / "bundle"),
            "threads": 1,
            "source": {"uri": f"folder://{self.folder / 'pictures'}", "loop": True},
            "mode": "triggered",
            "recipe": 12,
            "deadline_ms": 2000,
            "duplicate_window_s": 3600,
            "state_dir": state_dir,
            "mqtt": {"host": "127.0.0.1", "port": port or self.broker.port, "heartbeat_ms": 100},
        }
        path = self.folder / "station.yaml"
        path.write_text(json.dumps(values | settings))  # JSON is YAML
        return path

    def start(self, station: Path, *options: str) -> None:
        """Start the daemon."""
        self.pid = self.nursery.start(station, *options)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End the daemon by a signal."""
        return self.nursery.kill(self.pid, number)


def write_pictures(folder: Path, kinds: str) -> None:
    """One file for each letter, its name says what it shows.

    o good, n defect, b black, s saturated, d not a picture, g 16-bit grey, c PNG cut off, j JPEG cut off, e empty.
    """
    import cv2
    import numpy as np

    from tests.support.tiny_bundle import picture

    folder.mkdir(parents=True, exist_ok=True)
    names = {
        "o": "good",
        "n": "defect",
        "b": "black",
        "s": "saturated",
        "d": "damaged",
        "g": "grey16",
        "c": "cut",
        "j": "cut",
        "e": "empty",
    }
    for number, kind in enumerate(kinds):
        path = folder / f"{number:04d}-{names[kind]}.png"
        if kind in "on":
            cv2.imwrite(str(path), picture(kind == "n", number))
        elif kind in "bs":
            cv2.imwrite(str(path), np.full((64, 64, 3), 0 if kind == "b" else 255, np.uint8))
        elif kind == "g":
            cv2.imwrite(str(path), np.full((64, 64), 30_000, np.uint16))
        elif kind in "cj":
            path = path.with_suffix(".png" if kind == "c" else ".jpg")
            cv2.imwrite(str(path), picture(False, number))
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        else:
            path.write_bytes(b"this is no picture" if kind == "d" else b"")
