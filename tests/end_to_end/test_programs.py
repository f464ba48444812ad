"""What the three programs have in common: a version, completion in a shell, and a trace when native code crashes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime import __version__

PACKAGES = {"edge-build": "edge_build", "edge-daemon": "edge_runtime", "edge-deploy": "edge_deploy"}
BIN = Path(sys.executable).parent
WORDS = {
    "edge-build": ("eva", "evaluate"),
    "edge-daemon": ("self", "selftest"),
    "edge-deploy": ("roll", "rollback"),
}
CRASH = """
import ctypes, {package}.cli as program
program.app.command("crash")(lambda: ctypes.string_at(0))
program.main()
"""

pytestmark = pytest.mark.parametrize("program", PACKAGES)


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """With the programs on the PATH, as in an activated environment."""
    there = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **environment}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, env=there)


def completion_script(program: str, shell: str) -> str:
    found = run(program, **{f"_{program.upper().replace('-', '_')}_COMPLETE": f"source_{shell}"})
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout


def test_a_program_says_its_version(program: str) -> None:
    found = run(program, "--version")

    assert (found.returncode, found.stdout, found.stderr) == (0, f"{program} {__version__}\n", "")


def test_bash_completes_the_commands_of_a_program(program: str, tmp_path: Path) -> None:
    bash, (begun, whole) = shutil.which("bash"), WORDS[program]
    if bash is None:
        pytest.skip("needs bash")
    (tmp_path / "completion").write_text(completion_script(program, "bash"))
    function = f"_{program.replace('-', '_')}_completion"
    asks = f"COMP_WORDS=({program} {begun}) COMP_CWORD=1; {function} {program}; echo ${{COMPREPLY[@]}}"

    found = run(bash, "--norc", "-c", f"source {tmp_path}/completion; {asks}")

    assert (found.stdout, found.stderr) == (f"{whole}\n", "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_have_a_script_whose_question_is_answered(program: str, shell: str) -> None:
    variable, (begun, whole) = f"_{program.upper().replace('-', '_')}_COMPLETE", WORDS[program]
    script = completion_script(program, shell)
    assert f"{variable}=complete_{shell}" in script
    assert {"zsh": f"#compdef {program}", "fish": f"complete --command {program}"}[shell] in script

    asked = {"_TYPER_COMPLETE_ARGS": f"{program} {begun}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    found = run(program, **{variable: f"complete_{shell}"}, **asked)

    assert whole in found.stdout


def test_a_crash_in_native_code_leaves_the_python_stack_on_standard_error(program: str) -> None:
    found = run(sys.executable, "-c", CRASH.format(package=PACKAGES[program]), "crash")

    assert found.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in found.stderr
    assert "ctypes" in found.stderr  # where it was


def test_a_program_that_is_started_without_standard_error_works(program: str) -> None:
    found = subprocess.run(
        ["bash", "-c", f"exec {BIN / program} --version 2>&-"], stdout=subprocess.PIPE, text=True, timeout=60
    )

    assert (found.returncode, found.stdout) == (0, f"{program} {__version__}\n")
