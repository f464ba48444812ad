"""The table of exit codes in docs/reference/exit-codes.md, against every error of the code."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import edge_build
import edge_calibration
import edge_runtime
from edge_build.cli import INTERRUPTED
from edge_build.on_device.child_process import BUG
from edge_runtime.errors import EdgeError

PAGE = Path(__file__).parents[2] / "docs/reference/exit-codes.md"
DONE, WRONG_USE = 0, 2  # typer's


def test_the_page_lists_every_code_that_the_program_ends_with_and_no_other() -> None:
    for package in (edge_runtime, edge_calibration, edge_build):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)

    raised = {kind.exit_code for kind in kinds(EdgeError) if kind.__module__.startswith("edge_")}

    assert raised > {1, 74, 78}
    assert listed() == raised | {DONE, WRONG_USE, BUG, INTERRUPTED}


def kinds(kind: type[EdgeError]) -> Iterator[type[EdgeError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from kinds(narrower)


def listed() -> set[int]:
    rows = re.findall(r"^\| (\d+)(?: to (\d+))? \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {code for first, last in rows for code in range(int(first), int(last or first) + 1)}
