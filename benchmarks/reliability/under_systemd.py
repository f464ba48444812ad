"""`systemd/edge-daemon@.service` under a real systemd: what the unit promises, tried one after the other.

    sudo python -m benchmarks.reliability.under_systemd --work /dev/shm

Boots this machine's own system once more in a container (an overlay that is thrown away), installs the package there as
docs/how-to/operate.md says, and runs a station with a tiny bundle against a mosquitto that asks for a password. Needs
root on Debian or Ubuntu with systemd-container, python3-venv and mosquitto, and pip's index. Prints a line for each
promise and exits with 1 when one is broken. There is no GPU and no camera in it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from tests.support.faults.container import Container
from tests.support.faults.stand import PREFIX, Broker
from tests.support.tiny_bundle import write_bundle, write_pictures

PROJECT = Path(__file__).parents[2]
UNIT = "edge-daemon@press-1"
PASSWORD = "a-word-that-nobody-may-see"
WATCHDOG_S, MOST_EXPOSURE, STOP_S, WAIT_S = 4, 2.0, 2.0, 40.0


class Station:
    """The unit in its container, and what it publishes."""

    def __init__(self, container: Container, broker: Broker) -> None:
        self.container = container
        self.states: queue.Queue[str] = queue.Queue()
        self.seqs: list[int] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "listener")
        self._client.username_pw_set("plc", PASSWORD)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{PREFIX}/#", 1)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def systemctl(self, *words: str, check: bool = True) -> str:
        """What it prints."""
        return self.container.run("systemctl", *words, UNIT, check=check)

    def shown(self, name: str) -> str:
        """A property of the unit."""
        return self.systemctl("show", "--value", "-p", name)

    def kill(self, number: int) -> None:
        """Send the station's process a signal, if there is one just now."""
        if (pid := self.shown("MainPID")) != "0":
            self.container.run("kill", f"-{number}", pid, check=False)

    def wait_state(self, word: str) -> None:
        """Until the station says so. Raises queue.Empty when it does not."""
        while not self.states.get(timeout=WAIT_S).startswith(word):
            pass

    def forget_states(self) -> None:
        """Drop what came until now."""
        while not self.states.empty():
            self.states.get()

    def wait_verdict_after(self, seq: int) -> int:
        """Until a verdict with a higher number comes. Returns its number. Raises TimeoutError."""
        deadline = time.monotonic() + WAIT_S
        while max(self.seqs, default=0) <= seq:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no verdict after {seq}")
            time.sleep(0.05)
        return max(self.seqs)

    def wait_shown(self, name: str, accepted: Callable[[str], bool]) -> str:
        """Until the unit's property is as it should be. Raises TimeoutError."""
        deadline = time.monotonic() + WAIT_S
        while not accepted(value := self.shown(name)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is {value}")
            time.sleep(0.2)
        return value

    def _take(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        if message.topic == f"{PREFIX}/state":
            self.states.put(message.payload.decode())
        elif message.topic == f"{PREFIX}/verdict":
            self.seqs.append(int(message.payload.split(b";")[1]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Set everything up, then try each promise."""
    options = command_line().parse_args(arguments)
    require_container()
    with tempfile.TemporaryDirectory(prefix="edge-systemd-", dir=options.work) as name:
        folder = Path(name)
        broker = start_broker(folder)
        try:
            with Container(folder / "container") as container:
                install(container, broker.port)
                station = Station(container, broker)
                held = [try_promise(promise, station) for promise in PROMISES]
        finally:
            broker.kill()
    sys.exit(0 if all(held) else 1)


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--work", type=Path, required=True, help="a folder on another file system than /, e.g. /dev/shm"
    )
    return parser


def require_container() -> None:
    """Exit where this cannot run."""
    if os.getuid() != 0:
        sys.exit("run it as root: it mounts an overlay and boots a container")
    if shutil.which("systemd-nspawn") is None:
        sys.exit("systemd-nspawn is not installed: apt-get install systemd-container")


def start_broker(folder: Path) -> Broker:
    """One that wants a password."""
    passwords = folder / "passwords"
    passwords.touch(mode=0o600)
    for user in ("station", "plc"):
        subprocess.run(["mosquitto_passwd", "-b", passwords, user, PASSWORD], check=True)
    broker = Broker(folder)
    broker.configure("allow_anonymous false", f"password_file {passwords}")
    broker.start()
    return broker


def install(container: Container, port: int) -> None:
    """The package, the unit, a bundle, pictures, the station's file and its password."""
    container.run("/usr/bin/python3", "-m", "venv", "/opt/edge-inspection")
    container.run("/opt/edge-inspection/bin/pip", "install", "-q", PROJECT)
    root = container.root
    write_bundle(root / "opt/bundles/tiny-1.0")
    write_pictures(root / "opt/pictures", "on" * 20)
    for name in ("etc/edge-daemon", "etc/credstore", f"etc/systemd/system/{UNIT}.service.d"):
        (root / name).mkdir(parents=True, exist_ok=True)
    secret = root / "etc/credstore/edge-daemon.press-1.mqtt-password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    station = {
        "line": "press",
        "cell": "1",
        "bundle": "/opt/bundles/tiny-1.0",
        "threads": 1,
        "state_dir": "/var/lib/edge-daemon/press-1",
        "deadline_ms": 1000,
        "source": {"uri": "folder:///opt/pictures", "loop": True, "fps": 10},
        "mqtt": {
            "host": "127.0.0.1",
            "port": port,
            "user": "station",
            "password_file": f"/run/credentials/{UNIT}.service/mqtt-password",
        },
    }
    (root / "etc/edge-daemon/press-1.yaml").write_text(json.dumps(station))
    shutil.copy(PROJECT / "systemd/edge-daemon@.service", root / "etc/systemd/system/")
    shorter = f"[Service]\nWatchdogSec={WATCHDOG_S}\n"  # so that nobody waits half a minute for it
    (root / f"etc/systemd/system/{UNIT}.service.d/watchdog.conf").write_text(shorter)
    container.run("systemctl", "daemon-reload")


def try_promise(promise: Callable[[Station], str], station: Station) -> bool:
    """Start the unit again, try one promise, and print what came of it."""
    name = (promise.__doc__ or "").rstrip(".")
    try:
        station.systemctl("stop")
        station.forget_states()
        station.container.run("systemctl", "reset-failed")  # of all units: this one may have been forgotten
        station.systemctl("start")
        station.wait_state("READY")
        print(f"kept    {name}: {promise(station)}", flush=True)
    except (AssertionError, OSError, subprocess.CalledProcessError, queue.Empty) as error:
        print(f"BROKEN  {name}: {type(error).__name__} {error}", flush=True)
        return False
    return True


def require(holds: bool, otherwise: str) -> None:
    """Raise AssertionError unless it holds, in optimised Python, too."""
    if not holds:
        raise AssertionError(otherwise)


def no_rights(station: Station) -> str:
    """The station runs without rights."""
    status = station.container.run("cat", f"/proc/{station.shown('MainPID')}/status")
    found = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if len(line.split()) > 1}
    require(found["Uid"] != "0", "it is root")
    require(int(found["CapEff"], 16) == int(found["CapBnd"], 16) == 0, f"capabilities {found['CapEff']}")
    require((found["NoNewPrivs"], found["Seccomp"]) == ("1", "2"), "new privileges, or no filter of system calls")
    output = station.container.run("systemd-analyze", "security", "--no-pager", f"{UNIT}.service").splitlines()[-1]
    exposure = float(output.split(":")[-1].split()[0])
    require(exposure <= MOST_EXPOSURE, output)
    return f"user {found['Uid']}, no capability, exposure {exposure}"


def secret_stays(station: Station) -> str:
    """The broker's password is in no log, process list or core, and in no other user's reach."""
    pid, run = station.shown("MainPID"), station.container.run
    for place in (
        run("journalctl", "-u", UNIT, "-o", "verbose"),
        run("cat", f"/proc/{pid}/cmdline", f"/proc/{pid}/environ"),
    ):
        require(PASSWORD not in place, "it is in the journal or the process list")
    limit = next(line for line in run("cat", f"/proc/{pid}/limits").splitlines() if "core file" in line)
    require(limit.split()[4:6] == ["0", "0"], limit)
    file = f"/run/credentials/{UNIT}.service/mqtt-password"
    require(
        PASSWORD not in run("setpriv", "--reuid=nobody", "--clear-groups", "cat", file, check=False), "it is readable"
    )
    return "journal, command line, environment, core limit, credential file"


def hang_ends(station: Station) -> str:
    """A process that hangs is ended by the watchdog and started again."""
    began = time.monotonic()
    station.kill(signal.SIGSTOP)
    station.wait_shown("NRestarts", lambda value: value == "1")
    station.wait_state("READY")
    require("Watchdog timeout" in station.container.run("journalctl", "-u", UNIT, "-o", "cat"), "not by the watchdog")
    return f"READY again after {time.monotonic() - began:.1f} s (watchdog {WATCHDOG_S} s, pause 2 s)"


def kill_is_mended(station: Station) -> str:
    """A process that was killed is started again, and its numbers go on."""
    last = station.wait_verdict_after(max(station.seqs, default=0))
    station.kill(signal.SIGKILL)
    station.wait_state("OFFLINE")
    station.wait_state("READY")
    require(station.shown("NRestarts") == "1", "it was not systemd that started it")
    return f"number {last} before, {station.wait_verdict_after(last)} after"


def loop_ends(station: Station) -> str:
    """A station that fails again and again stays down for a person to look."""
    deadline = time.monotonic() + 3 * WAIT_S
    while station.shown("ActiveState") != "failed":
        station.kill(signal.SIGKILL)
        time.sleep(0.2)
        require(time.monotonic() < deadline, "it is started for ever")
    restarts = int(station.shown("NRestarts"))
    require(restarts <= 10, f"{restarts} starts")  # StartLimitBurst
    return f"down after {restarts} restarts"


def wrong_bundle_stays_down(station: Station) -> str:
    """A damaged bundle is exit 78, which is not tried again."""
    graph = station.container.root / "opt/bundles/tiny-1.0/model.fp32.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[:-1])
    try:
        station.systemctl("restart", check=False)
        station.wait_shown("ActiveState", lambda value: value == "failed")
        time.sleep(5)  # more than RestartSec
        found = {name: station.shown(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")}
    finally:
        graph.write_bytes(whole)
    require(list(found.values()) == ["failed", "78", "0"], str(found))
    return "failed, status 78, no restart in 5 s"


def stop_is_clean(station: Station) -> str:
    """`systemctl stop` says OFFLINE and ends it in time."""
    began = time.monotonic()
    station.systemctl("stop")
    took = time.monotonic() - began
    station.wait_state("OFFLINE;000;stopped")
    require(took < STOP_S, f"it took {took:.1f} s")
    require(station.shown("Result") == "success", station.shown("Result"))
    return f"{took:.2f} s"


def log_is_for_machines(station: Station) -> str:
    """Every line of the daemon in the journal is JSON with a level."""
    lines = station.container.run("journalctl", "-u", UNIT, "-o", "cat", "_COMM=edge-daemon").splitlines()
    require(bool(lines) and all("level" in json.loads(line) for line in lines), "lines of another kind")
    return f"{len(lines)} lines"


PROMISES = (
    no_rights,
    secret_stays,
    log_is_for_machines,
    stop_is_clean,
    kill_is_mended,
    hang_ends,
    wrong_bundle_stays_down,
    loop_ends,
)

if __name__ == "__main__":
    main()
