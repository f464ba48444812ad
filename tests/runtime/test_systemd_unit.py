"""The unit that runs a station: valid, closed as far as a camera and a GPU allow, and in step with the program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_runtime.errors import EX_CONFIG

UNIT = Path(__file__).parents[2] / "systemd/edge-daemon@.service"
PROGRAM = "/opt/edge-inspection/bin/edge-daemon"
EXPOSURE_LIMIT = 2.0
# What systemd-analyze finds open, and where the unit says why: a comment must stand before the line that opens it.
OPEN = {
    "PrivateDevices=": "DevicePolicy=",
    "DeviceAllow=": "DeviceAllow=",
    "SupplementaryGroups=": "SupplementaryGroups=",
    "MemoryDenyWriteExecute=": "MemoryDenyWriteExecute=",
    "ProcSubset=": "ProcSubset=",
    "PrivateNetwork=": "PrivateNetwork=",
    "IPAddressDeny=": "PrivateNetwork=",
    "RestrictAddressFamilies=~AF_(INET|INET6)": "RestrictAddressFamilies=",
    "RestrictAddressFamilies=~AF_UNIX": "RestrictAddressFamilies=",
    "RestrictAddressFamilies=~AF_NETLINK": "RestrictAddressFamilies=",
    "ProtectClock=": "ProtectClock=",
    "SystemCallFilter=~@clock": "SystemCallFilter=",
    "SystemCallFilter=~@privileged": "SystemCallFilter=",
    "SystemCallFilter=~@resources": "SystemCallFilter=",
    "RootDirectory=/RootImage=": "[Service]",  # an installation in /opt is no image
}
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: apt install systemd)"
)


def settings():
    return [line for line in UNIT.read_text().splitlines() if line and not line.startswith("#")]


def analyze(tmp_path, *command):
    unit = tmp_path / "edge-daemon@press-1.service"
    unit.write_text(UNIT.read_text().replace(PROGRAM, "/bin/true"))  # it need not be installed here
    found = subprocess.run(
        ["systemd-analyze", *command, str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    return found.returncode, found.stdout + found.stderr


@needs_systemd
def test_the_unit_is_valid(tmp_path):
    code, text = analyze(tmp_path, "--recursive-errors=no", "verify")
    assert (code, text) == (0, "")


@needs_systemd
def test_the_exposure_is_low_and_what_is_open_is_what_the_unit_explains(tmp_path):
    code, text = analyze(tmp_path, "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE_LIMIT * 10:.0f}")
    overall = re.search(r"Overall exposure level for \S+: ([\d.]+)", text)
    assert overall, text
    assert code == 0, text
    assert float(overall[1]) <= EXPOSURE_LIMIT
    assert {line.split()[1] for line in text.splitlines() if line.startswith("✗")} <= OPEN.keys()


@pytest.mark.parametrize("opened", sorted(set(OPEN.values())))
def test_a_comment_stands_before_each_line_that_opens_something(opened):
    lines = UNIT.read_text().splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith(opened))
    assert lines[first - 1].startswith("#") or lines[first + 1].startswith("#")


def test_the_unit_is_in_step_with_the_program():
    lines = settings()
    for expected in (
        "Type=notify",
        "Restart=on-failure",
        f"RestartPreventExitStatus={EX_CONFIG}",
        f"ExecStart={PROGRAM} run /etc/edge-daemon/%i.yaml",
        "StateDirectory=edge-daemon/%i",
        "DynamicUser=yes",
        "LimitCORE=0",
        "MemoryMax=75%",
        "TasksMax=256",
        "LimitNOFILE=4096",
        "ExecReload=kill -HUP $MAINPID",
    ):
        assert expected in lines
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    assert int(values["WatchdogSec"]) >= 2 * 1  # twice the default deadline of a second: see check_watchdog
    assert int(values["StartLimitBurst"]) * int(values["RestartSec"]) < int(values["StartLimitIntervalSec"])


@needs_systemd
@pytest.mark.parametrize("drop_in", sorted((UNIT.parent / "drop-ins").glob("*.conf")), ids=lambda path: path.stem)
def test_each_source_s_drop_in_is_valid_and_keeps_the_unit_closed(tmp_path, drop_in):
    folder = tmp_path / "edge-daemon@press-1.service.d"
    folder.mkdir()
    # Units of a board, which are not here.
    text = re.sub(r"^(Requires|After)=nvargus.*\n", "", drop_in.read_text(), flags=re.MULTILINE)
    (folder / drop_in.name).write_text(text)
    code, text = analyze(tmp_path, "verify", "--recursive-errors=no")
    assert code == 0, text
    assert drop_in.name not in text
    _, text = analyze(tmp_path, "security", "--offline=true")
    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", text)
    assert float(exposure[1]) <= EXPOSURE_LIMIT, text
