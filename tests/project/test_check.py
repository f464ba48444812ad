"""`./check` as a script: what runs, what is shown, and how it ends, with fakes in place of the tools."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("ruff", "mypy", "lint-imports", "python")
SUMMARY = "1234 passed in 5.67s"
LIMIT_S = 30


class FakeTools:
    """A checkout of `check` alone, with environments whose programs print their names and end as they are told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(ROOT / "check", folder)
        for environment in (".venv", ".venv-3.10", ".venv-3.12"):
            (folder / environment / "bin").mkdir(parents=True)
        for tool in TOOLS:
            self.set(f".venv/bin/{tool}", f"echo {tool} was here")
        self.set(".venv/bin/python", f"echo '{SUMMARY}'")
        for version in ("3.10", "3.12"):
            self.set(f".venv-{version}/bin/python", f"echo Python {version}: $*")

    def set(self, program: str, script: str) -> None:
        (self.folder / program).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / program).chmod(0o755)

    def start(self) -> subprocess.Popen[str]:
        quiet = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        return subprocess.Popen(
            [self.folder / "check", "--fast"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=quiet, start_new_session=True,
        )  # fmt: skip

    def check(self) -> tuple[int, list[str]]:
        process = self.start()
        output, _ = process.communicate(timeout=LIMIT_S)
        return process.returncode, output.splitlines()


@pytest.fixture
def tools(tmp_path: Path) -> FakeTools:
    return FakeTools(tmp_path)


def test_every_job_is_shown_and_the_last_line_is_the_summary_of_all_tests(tools: FakeTools) -> None:
    tools.set(".venv-3.10/bin/python", "sleep 0.5; echo Python 3.10: $*")  # the first to start, the last to end

    code, lines = tools.check()

    assert code == 0
    shown = [line.removeprefix("== ") for line in lines if line]
    assert shown == [
        "the runtime on Python 3.10, bare",
        "Python 3.10: -m pytest tests/runtime",
        "the runtime on Python 3.12, bare",
        "Python 3.12: -m pytest tests/runtime",
        "lint, types and import contracts",
        *("ruff was here", "ruff was here", "mypy was here", "lint-imports was here"),
        "all tests",
        SUMMARY,
    ]


@pytest.mark.parametrize(
    ("program", "job"),
    [
        (".venv/bin/ruff", "lint, types and import contracts"),
        (".venv/bin/mypy", "lint, types and import contracts"),
        (".venv/bin/lint-imports", "lint, types and import contracts"),
        (".venv/bin/python", "all tests"),
        (".venv-3.10/bin/python", "the runtime on Python 3.10, bare"),
        (".venv-3.12/bin/python", "the runtime on Python 3.12, bare"),
    ],
)
def test_a_failure_keeps_its_code_is_named_at_the_end_and_hides_nothing(
    tools: FakeTools, program: str, job: str
) -> None:
    tools.set(program, "echo this is wrong >&2; exit 3")

    code, lines = tools.check()

    assert code == 3
    assert lines[-2:] == ["== FAILED, see above:", f"   {job} (exit code 3)"]
    assert "this is wrong" in lines[lines.index(f"== {job}") :]
    for other in {".venv/bin/mypy": "mypy was here", ".venv/bin/python": SUMMARY}.items():
        assert other[0] == program or other[1] in lines


def test_several_failures_are_all_named_and_the_first_ones_code_is_kept(tools: FakeTools) -> None:
    tools.set(".venv-3.12/bin/python", "exit 4")
    tools.set(".venv/bin/python", "echo 1 failed, 2 passed; exit 1")

    code, lines = tools.check()

    assert code == 4
    assert lines[-3:] == [
        "== FAILED, see above:",
        "   the runtime on Python 3.12, bare (exit code 4)",
        "   all tests (exit code 1)",
    ]


def test_a_python_that_is_not_there_is_said(tools: FakeTools) -> None:
    (tools.folder / ".venv-3.12/bin/python").unlink()

    code, lines = tools.check()

    assert (code, lines[-1]) == (0, SUMMARY)
    assert "Python 3.12 is not installed: the runtime tests do not run on it" in lines


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_check_leaves_nothing_running(tools: FakeTools, how: signal.Signals) -> None:
    tools.set(".venv/bin/python", f"echo $$ > {tools.folder}/pid; exec sleep 60")
    process = tools.start()
    until = time.monotonic() + LIMIT_S
    while not (tools.folder / "pid").exists() or not (tools.folder / "pid").read_text().strip():
        assert time.monotonic() < until
        time.sleep(0.02)
    suite = int((tools.folder / "pid").read_text())

    os.killpg(process.pid, how)

    process.communicate(timeout=LIMIT_S)
    assert process.returncode != 0
    while Path(f"/proc/{suite}").exists():
        assert time.monotonic() < until, "the tests still run"
        time.sleep(0.02)
