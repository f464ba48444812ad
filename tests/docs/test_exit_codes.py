"""docs/reference/exit-codes.md, against every error of the code."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import edge_build
import edge_calibration
import edge_deploy
import edge_runtime
from edge_build.cli import INTERRUPTED
from edge_build.on_device.child_process import BUG
from edge_runtime.engines.tensorrt.errors import CompilerRefusedError
from edge_runtime.errors import EdgeError

PAGE = Path(__file__).parents[2] / "docs/reference/exit-codes.md"
ALWAYS = {0, 1, 2}  # done; a fault of the program; wrong use, which is typer's
NO_MORE = {82}  # within the range of the GPU's stack
ONLY_COMPILE = {CompilerRefusedError.exit_code}  # no other program compiles


@pytest.mark.parametrize(
    ("program", "packages", "others", "never"),
    [
        ("edge-build", (edge_runtime, edge_calibration, edge_build), {BUG, INTERRUPTED}, NO_MORE),
        ("edge-daemon", (edge_runtime,), set(), NO_MORE | ONLY_COMPILE),
    ],
)
def test_the_page_lists_every_code_that_a_program_ends_with_and_no_other(
    program: str, packages: tuple[ModuleType, ...], others: set[int], never: set[int]
) -> None:
    assert listed(program) - never == (raised(packages) | ALWAYS | others) - never


def test_the_codes_of_the_gpu_s_stack_are_all_there() -> None:
    assert listed("The GPU's stack") == {code for code in raised((edge_runtime,)) if 80 <= code < 90}


def test_the_page_lists_every_code_of_edge_deploy() -> None:
    sources = "".join(path.read_text() for path in Path(edge_deploy.__path__[0]).glob("*.py"))
    kinds = {kind.__name__: kind.exit_code for kind in subclasses(EdgeError)}
    named = {kinds[name] for name in re.findall(r"(?:raise |typer\.Exit\()(\w+Error)", sources) if name in kinds}

    assert listed("edge-deploy") == named | ALWAYS


def raised(packages: tuple[ModuleType, ...]) -> set[int]:
    """The codes of all errors that these packages define."""
    for package in packages:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    names = tuple(f"{package.__name__}." for package in packages)
    codes = {kind.exit_code for kind in subclasses(EdgeError) if kind.__module__.startswith(names)}
    assert codes > {1, 74, 78}
    return codes


def subclasses(kind: type[EdgeError]) -> Iterator[type[EdgeError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from subclasses(narrower)


def listed(heading: str) -> set[int]:
    """The codes in the table under a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+)(?: to (\d+))? \|", section, re.MULTILINE)
    return {code for first, last in rows for code in range(int(first), int(last or first) + 1)}
