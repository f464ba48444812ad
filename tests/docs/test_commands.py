"""Every command that a page prints names a program, a command and options that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.command_lines import commands_in_page, problem_of

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_are_those_of_the_programs(page: Path) -> None:
    found = {command: problem_of(command) for command in commands_in_page(page.read_text(encoding="utf-8"))}

    assert {command: problem for command, problem in found.items() if problem} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_benchmarks_that_a_page_names_are_there(page: Path) -> None:
    names = re.findall(r"benchmarks/[\w/]+\.py", page.read_text(encoding="utf-8"))

    assert [name for name in names if not (ROOT / name).is_file()] == []


def test_commands_are_found_in_blocks_and_in_lines() -> None:
    page = (
        "Run `edge-daemon check` first.\n\n"
        "    edge-build init parts > r.yaml && edge-build build r.yaml \\\n        --out bundles   # --no-such\n\n"
        "```\nsudo /opt/bin/edge-deploy list --store S\n```\n"
        "`edge-daemon@NAME` and `edge-build` are none.\n"
    )

    assert commands_in_page(page) == [
        "edge-deploy list --store S",
        "edge-build init parts",
        "edge-build build r.yaml          --out bundles",
        "edge-daemon check",
        "edge-build",
    ]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("edge-build build recipe.yaml --out bundles", None),
        ("edge-build", None),
        ("edge-build built recipe.yaml", "edge-build has no command built"),
        ("edge-daemon run station.yaml [--onec]", "edge-daemon run has no --onec"),
        ("python -m benchmarks.cost.graph_cost BUNDLE [BUNDLE...] [--rounds 60]", None),
        ("python -m benchmarks.cost.graph_cots BUNDLE", "there is no benchmarks.cost.graph_cots"),
        ("python -m benchmarks.cost.graph_cost --round 1", "benchmarks.cost.graph_cost has no --round"),
    ],
)
def test_what_is_not_there_is_named(command: str, problem: str | None) -> None:
    assert problem_of(command) == problem
