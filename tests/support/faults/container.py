"""This machine's own system, or one in a folder, booted: a real systemd in a container, on a copy thrown away."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

BOOT_S = 30.0


class Container:
    """An overlay of a system with systemd as its first process, and this machine's network.

    Needs root and systemd-nspawn.

    A context manager. `root` is where its files are seen from outside; what is written there is gone in the end.
    """

    def __init__(self, folder: Path, system: Path = Path("/")) -> None:
        """folder: on another file system than `system`, such as /dev/shm."""
        self._folder, self.root, self._system = folder, folder / "root", system

    def __enter__(self) -> Container:
        for name in ("upper", "work", "root"):
            (self._folder / name).mkdir(parents=True)
        layers = f"lowerdir={self._system},upperdir={self._folder / 'upper'},workdir={self._folder / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.root], check=True)
        (self.root / "etc/machine-id").unlink(missing_ok=True)  # it is another machine
        self._nspawn = subprocess.Popen(
            ["systemd-nspawn", "-D", self.root, "--boot", "--register=no", "--keep-unit", "--console=pipe"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait_until_booted()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(subprocess.CalledProcessError):
            self.run("systemctl", "poweroff")
        try:
            self._nspawn.wait(BOOT_S)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        subprocess.run(["umount", self.root], check=True)
        shutil.rmtree(self._folder)

    def run(self, *command: object, check: bool = True) -> str:
        """Run a command in it, as its root. Returns what it printed. Raises CalledProcessError if `check`."""
        done = subprocess.run([*self._into(), *map(str, command)], stdout=subprocess.PIPE, text=True, check=check)
        return done.stdout.strip()

    def show(self, *command: object) -> None:
        """Run a command in it, as its root, with its output on this process's own. Raises CalledProcessError."""
        subprocess.run([*self._into(), *map(str, command)], stdin=subprocess.DEVNULL, check=True)

    def _into(self) -> list[str]:
        return ["nsenter", "-t", str(self._first()), "-m", "-u", "-i", "-p", "-C", "--"]

    def _first(self) -> int:
        """The process id of its systemd, as seen from outside."""
        pid = self._nspawn.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def _wait_until_booted(self) -> None:
        deadline = time.monotonic() + BOOT_S
        while time.monotonic() < deadline:
            with suppress(subprocess.CalledProcessError, IndexError, FileNotFoundError):
                if self.run("systemctl", "is-system-running", check=False) in ("running", "degraded"):
                    return
            if self._nspawn.poll() is not None:
                sys.exit("systemd-nspawn ended: it needs root, and cgroups that it may write")
            time.sleep(0.2)
        sys.exit(f"no systemd after {BOOT_S:.0f} s")
