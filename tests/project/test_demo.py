"""`./demo` as a script: in which environment it runs, and how it ends when a step fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script alone, and an environment elsewhere whose programs are fakes."""
    (tmp_path / "checkout").mkdir()
    shutil.copy(ROOT / "demo", tmp_path / "checkout")
    venv.create(tmp_path / "environment", with_pip=False)
    return tmp_path / "checkout"


def install(environment: Path, program: str, script: str) -> None:
    (environment / "bin" / program).write_text(f"#!/bin/sh\n{script}\n")
    (environment / "bin" / program).chmod(0o755)


def demo(checkout: Path) -> subprocess.CompletedProcess[str]:
    """With the Python of the environment, and where no mosquitto is installed."""
    python = checkout.parent / "environment/bin/python"
    return subprocess.run(
        [python, checkout / "demo"], capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": "/nowhere"}
    )


def test_an_environment_that_has_the_product_is_used_as_it_is(checkout: Path) -> None:
    install(checkout.parent / "environment", "edge-build", "echo this very edge-build $* >&2; exit 78")

    found = demo(checkout)

    assert found.returncode == 1
    assert found.stderr == "this very edge-build sample sample\nedge-build ended with exit code 78\n"
    assert not (checkout / ".venv").exists()
    assert (checkout / "demo-output").is_dir()


def test_without_the_product_an_environment_is_made_beside_the_script(checkout: Path) -> None:
    found = demo(checkout)

    assert found.returncode != 0  # there is nothing here that could be installed
    assert "Making the environment in .venv" in found.stdout
    assert (checkout / ".venv/bin/python").exists()
