"""docs/tutorials/first-bundle.md, typed as it is printed: with few small pictures, so that learning takes seconds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.end_to_end.conftest import MOSQUITTO, WAIT_S
from tests.support.ports import free_port
from tests.support.tiny_dataset import write_dataset

PAGE = Path(__file__).parents[2] / "docs/tutorials/first-bundle.md"
TERMINALS_OF_THEIR_OWN = ("mosquitto -p", "mosquitto_sub", "edge-daemon run triggered.yaml")
GOOD = 46  # enough for 1 % and 5 % of them to give two thresholds


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto-clients is not installed")
def test_every_command_of_the_tutorial_works_as_printed(tmp_path: Path) -> None:
    write_dataset(tmp_path / "sample", GOOD, 4)
    port, programs = str(free_port()), Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}:/usr/sbin", "NO_COLOR": "1"}
    running: list[subprocess.Popen[bytes]] = []
    heard = tmp_path / "heard.txt"
    try:
        for command in commands("## 3. Recipe"):
            command = command.replace("18830", port)
            if command.startswith(TERMINALS_OF_THEIR_OWN):
                with (heard if command.startswith("mosquitto_sub") else tmp_path / "other.txt").open("ab") as output:
                    running.append(
                        subprocess.Popen(f"exec {command}", shell=True, cwd=tmp_path, env=environment, stdout=output)
                    )
                wait_for_terminal(command, port, heard)
            else:
                done = subprocess.run(
                    command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
                )
                assert done.returncode == 0, f"{command}\n{done.stderr}"
        wait_until(lambda: "PART-7" in heard.read_text())
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(WAIT_S)

    lines = heard.read_text().splitlines()
    verdicts = [line.split(" ", 1)[1].rstrip() for line in lines if line.startswith("ev1/tutorial/1/verdict ")]
    tried_by_check = [verdict for verdict in verdicts if verdict.endswith(";edge-check")]
    assert tried_by_check == ["1;0000000000;ERR;302;0000;0.0000;0.5000;0000;edge-check"]
    verdicts.remove(tried_by_check[0])
    assert len(verdicts) == 4 + 4 + 1
    assert verdicts[-1].startswith("1;0000000009;")
    assert verdicts[-1].endswith(";PART-7")
    assert "ev1/tutorial/1/trigger/ack 41;ACCEPTED" in lines


def commands(first_heading: str) -> list[str]:
    """What the page's indented blocks say to type, from a heading on."""
    page = PAGE.read_text(encoding="utf-8").split(first_heading)[1].replace("\\\n", " ")
    found = re.findall(r"^ {4}(.+)$", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    assert len(found) > 10
    return found


def wait_for_terminal(command: str, port: str, heard: Path) -> None:
    """Until what runs in a terminal of its own is ready for the next command."""
    if command.startswith("edge-daemon"):
        ready = heard.read_text().count("READY;000;")
        wait_until(lambda: heard.read_text().count("READY;000;") > ready)
    elif command.startswith("mosquitto_sub"):
        time.sleep(1)  # it does not say when it has subscribed
    else:
        wait_until(
            lambda: subprocess.run(["mosquitto_pub", "-p", port, "-t", "x", "-n"], capture_output=True).returncode == 0
        )


def wait_until(is_so) -> None:
    """Fails after WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
