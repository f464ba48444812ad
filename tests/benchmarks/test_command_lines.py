"""Every benchmark says what it takes, and its docstring prints a command that it takes."""

from __future__ import annotations

import importlib
import pkgutil

import benchmarks
import pytest
from tests.support.command_lines import commands_in_docstring, problem_of

ROOMS_WITHOUT_PROGRAMS = ("benchmarks.shared",)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    if not module.ispkg and not module.name.startswith(ROOMS_WITHOUT_PROGRAMS)
)


def test_the_benchmarks_are_found() -> None:
    assert len(MODULES) >= 18


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_answers_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main(["--help"])

    assert ended.value.code == 0
    assert f"python -m {name} " in capsys.readouterr().out


@pytest.mark.parametrize("name", MODULES)
def test_the_command_in_a_docstring_is_one_that_the_benchmark_takes(name: str) -> None:
    commands = commands_in_docstring(importlib.import_module(name).__doc__ or "")

    assert commands
    assert [problem for command in commands if (problem := problem_of(command))] == []
