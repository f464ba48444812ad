"""`edge-build` as a process, recipes that it printed and a test changed, and what a build gave."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_build.graphs.lint import require_compilable
from edge_build.on_device.ahead_of_time import build_ahead
from edge_build.workflows.init import recipe_for
from edge_runtime.bundle.reader import open_bundle
from tests.support.tiny_dataset import SIDE

needs_compiler = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="needs pip install '.[rtx]'"
)
ONLY_FP32 = ("precisions: [fp32, fp16, int8]", "precisions: [fp32]")
PROGRAM = (sys.executable, "-c", "from edge_build.cli import main; main()")


def edge_build(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    # one thread: these pictures are too small for more, and tests may run side by side
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | (env or {})
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=900, env=environment
    )


def write_recipe(dataset: Path, *changes: tuple[str, str]) -> Path:
    """What `init` prints, for two folds, with other changes of its text."""
    return changed_recipe(dataset, "patchcore", ("folds: 10", "folds: 2"), ("ratio: 0.01", "ratio: 0.1"), *changes)


def changed_recipe(dataset: Path, detector: str, *changes: tuple[str, str]) -> Path:
    # what comes after the view is tested: the whole frame
    text = re.sub(r"^  pose: \w+ ", "  pose: fixed ", recipe_for(dataset, detector, SIDE), flags=re.M)
    text = re.sub(r"^  region: \[.*?\] ", "  region: null ", text, flags=re.M)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    recipe = dataset.parent / "recipe.yaml"
    recipe.write_text(text)
    return recipe


@dataclass(frozen=True)
class Made:
    """A dataset, its recipe, and what building it gave."""

    dataset: Path
    recipe: Path
    bundle: Path
    summary: dict
    stderr: str


def assert_compilable(folder: Path) -> None:
    """By our own lint and by NVIDIA's compiler, in whatever precisions the bundle has."""
    bundle = open_bundle(folder)
    for precision in bundle.manifest.graphs:
        graph = bundle.graph(precision).read_bytes()
        require_compilable(graph)
        assert build_ahead(graph).layers > 100, precision


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def refused(arguments: list[object], code: int = 1) -> str:
    found = edge_build(*arguments)
    assert found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr
    return found.stderr
