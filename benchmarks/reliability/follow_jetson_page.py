"""docs/how-to/jetson.md, "Set up", typed word by word on a fresh Debian: whether it ends in a station that is READY.

    sudo python -m benchmarks.reliability.follow_jetson_page --work /dev/shm [--system DIR]

Makes a minimal Debian with debootstrap (or takes the one in DIR), boots it in a container with a real systemd, and
types every command of the page there as a user with `sudo`; those of the first step here, in a copy of the checkout.
What is not typed as it stands is in `INSTEAD`, each with its reason. Needs root, debootstrap, systemd-container,
mosquitto, and the networks of Debian and PyPI. Prints the commands and what they print; exits with 1 at the first that
fails.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.faults.container import Container
from tests.support.tiny_bundle import write_bundle, write_pictures

from benchmarks.shared.broker import start_mosquitto

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs/how-to/jetson.md"
PACKAGES = "ca-certificates,dbus,systemd,systemd-sysv,sudo"
PORT = 1883
INSTEAD = {
    r"^scp .*": "true  # the folder is copied below",
    r"^sudo apt install .* # on a Jetson alone.*": "true  # no JetPack here",
    r"aravis://\*": "folder:///var/lib/edge/pictures",  # no camera in a container
    r" -f$": " --no-pager",  # would not end
}
CAS = Path("/etc/ssl/certs/ca-certificates.crt")


def main(arguments: Sequence[str] | None = None) -> None:
    """Follow the page."""
    options = command_line().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="edge-jetson-", dir=options.work) as name:
        folder = Path(name)
        system = options.system or make_system(folder / "system")
        steps = steps_of(PAGE.read_text(encoding="utf-8"))
        for_device = on_workstation(steps[0], folder / "checkout")
        with start_mosquitto(folder, PORT) as broker, Container(folder / "container", system) as container:
            try:
                prepare(container, for_device)
                commands = typed([line for step in steps[1:] for line in step])
                (container.root / "home/engineer/commands").write_text(commands)
                try:
                    container.show("su", "-", "engineer", "-c", "bash commands")
                finally:
                    container.show("journalctl", "-u", "edge-daemon@press-1", "--no-pager")
                state = ["mosquitto_sub", "-p", str(PORT), "-t", "ev1/press/1/counters", "-C", "1", "-W", "10"]
                counters = subprocess.run(state, capture_output=True, text=True, check=True).stdout.strip()
            finally:
                broker.terminate()
    print(f"counters (triggers;ok;nok;error;...): {counters}")
    sys.exit(0 if counters.startswith("4;2;2;0;") else 1)


def steps_of(page: str) -> list[list[str]]:
    """The commands of each numbered step, joined where a line goes on in the next, with `INSTEAD` applied."""
    section = page.split("\n## Set up\n")[1].split("\n### Other machines\n")[0]
    found = []
    for step in section.split("\n### ")[1:]:
        text = "\n".join(line[4:] for line in step.splitlines() if line.startswith("    "))
        lines = text.replace("\\\n", " ").splitlines()
        for pattern, other in INSTEAD.items():
            lines = [re.sub(pattern, other, line) for line in lines]
        found.append([line for line in lines if line.strip()])
    return found


def typed(lines: Sequence[str]) -> str:
    """One script that shows each command before it runs it and ends at the first that fails."""
    return "set -e\n" + "\n".join(f"printf '%s\\n' {quoted(f'$ {line}')}\n{line}" for line in lines)


def quoted(text: str) -> str:
    """For a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def make_system(folder: Path) -> Path:
    """A minimal Debian."""
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(folder)]
    subprocess.run([*command, "http://deb.debian.org/debian"], check=True, stdout=subprocess.DEVNULL)
    return folder


def on_workstation(lines: Sequence[str], checkout: Path) -> Path:
    """Type the first step in a copy of the checkout with a tiny bundle in it; the folder for the device."""
    checkout.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=PROJECT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=checkout, input=archive, check=True)
    manifest = write_bundle(checkout / "bundles/screws-1") / "manifest.json"
    named = manifest.read_text().replace('"name": "tiny"', '"name": "screws"')
    manifest.write_text(named.replace('"version": "1.0"', '"version": "1"'))
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"}
    subprocess.run(["bash", "-c", typed(lines)], cwd=checkout, env=environment, check=True)
    return checkout / "for-device"


def prepare(container: Container, for_device: Path) -> None:
    """A person who may use sudo, the folder in their home, answers to apt, and this machine's way to PyPI."""
    root = container.root
    container.run("useradd", "--create-home", "--shell", "/bin/bash", "engineer")
    (root / "etc/sudoers.d/engineer").write_text("engineer ALL=(ALL) NOPASSWD: ALL\n")
    shutil.copytree(for_device, root / "home/engineer/for-device")
    container.run("chown", "-R", "engineer", "/home/engineer")
    (root / "etc/apt/apt.conf.d/yes").write_text('APT::Get::Assume-Yes "true";\n')
    shutil.copy(CAS, root / str(CAS).lstrip("/"))
    (root / "etc/pip.conf").write_text(f"[global]\ncert = {CAS}\ntimeout = 180\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost plc-broker {socket.gethostname()}\n")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    (root / "var/lib/edge").mkdir(parents=True)
    write_pictures(root / "var/lib/edge/pictures", "onon")


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="a folder on another file system than the system's, as /dev/shm")
    parser.add_argument("--system", type=Path, help="a minimal Debian that is there already; it is not changed")
    return parser


if __name__ == "__main__":
    main()
