"""The layers of .importlinter: what is in force, and that a module cannot get around it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).parent / "lint-imports"
SOURCES = ("edge", "calibration", "build", "deploy")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their contracts, to be changed."""
    for source in SOURCES:
        shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    path = ":".join(str(root / source) for source in SOURCES)
    command = [str(LINT), "--config", ".importlinter", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120)


def test_the_contracts_are_kept_by_a_copy(copy: Path) -> None:
    found = lint(copy)

    assert found.returncode == 0, found.stdout
    assert " 0 broken." in found.stdout


@pytest.mark.parametrize(
    ("module", "contract"),
    [("edge/edge_runtime/attic.py", "inside edge_runtime"), ("build/edge_build/attic/page.py", "inside edge_build")],
)
def test_a_module_without_a_room_breaks_the_contract(copy: Path, module: str, contract: str) -> None:
    (copy / module).parent.mkdir(exist_ok=True)
    (copy / module).write_text('"""Nobody said where this belongs."""\n')
    if (copy / module).parent.name == "attic":
        (copy / module).with_name("__init__.py").touch()

    found = lint(copy)

    assert found.returncode == 1
    assert f"{contract} BROKEN" in found.stdout
    assert "attic" in found.stdout.partition("Broken contracts")[2]


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("edge/edge_runtime/bundle/reader.py", "edge_runtime.daemon.serve", "inside edge_runtime"),
        ("edge/edge_runtime/imaging/reader.py", "edge_build.cli", "distribution packages"),
        ("deploy/edge_deploy/store.py", "edge_build.cli", "distribution packages"),
        ("build/edge_build/acceptance/gate.py", "edge_build.evaluation.summary", "test pictures decide nothing"),
        ("edge/edge_runtime/files.py", "torch", "what runs on the device needs neither torch"),
        ("build/edge_build/data/splits.py", "edge_runtime.storage.spool", "the host sees only the contract half"),
    ],
)
def test_an_import_against_the_layers_breaks_its_contract(
    copy: Path, module: str, imported: str, contract: str
) -> None:
    file = copy / module
    file.write_text(file.read_text(encoding="utf-8") + f"\nimport {imported}\n", encoding="utf-8")

    found = lint(copy)

    assert found.returncode == 1
    broken = [line for line in found.stdout.splitlines() if line.endswith("BROKEN")]
    assert [line for line in broken if line.startswith(contract)], found.stdout
