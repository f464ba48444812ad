"""Command lines as people read them, in pages and docstrings, against what the programs take: nothing is run.

A command that names a program, command or option that is not there is a problem; values and placeholders may be any.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup

import edge_build.cli
import edge_deploy.cli
import edge_runtime.cli

PROGRAMS = {
    "edge-build": edge_build.cli.app,
    "edge-daemon": edge_runtime.cli.app,
    "edge-deploy": edge_deploy.cli.app,
}
COMMAND = re.compile(r"(?:^|[\s/(])((?:edge-(?:build|daemon|deploy)|python -m benchmarks[.\w]*)(?= |$).*)")
OPTION = re.compile(r"--[a-z][\w-]*")


def commands_in_page(text: str) -> list[str]:
    """The commands in the code of a page in Markdown: blocks, fenced or indented, and code within lines."""
    fences = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"(?:^ {4}[^\n]*\n)+", prose, re.MULTILINE)
    inline = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
    return [command for code in (*fences, *blocks, *inline) for command in _commands(code)]


def commands_in_docstring(text: str) -> list[str]:
    """The commands in the indented blocks of a docstring."""
    blocks = re.findall(r"(?:^ {4}[^\n]*\n)+", text, re.MULTILINE)
    return [command for block in blocks for command in _commands(re.sub(r"\n {8}", " ", block))]


def problem_of(command: str) -> str | None:
    """What a command names that is not there."""
    words = [word.strip("[](),.;:") for word in command.split()]
    options = sorted({found for word in words if (found := "".join(OPTION.findall(word)[:1]))})
    if words[0] == "python":
        return _problem_of_benchmark(words[2], options)
    return _problem_of_program(words, options)


def _commands(code: str) -> Iterator[str]:
    for line in code.replace("\\\n", " ").splitlines():
        for part in re.split(r" (?:&&|\|\|?|->|>|;) ", re.sub(r"(?:^|\s)#.*", "", line)):
            if found := COMMAND.search(part):
                yield found[1].strip()


def _problem_of_benchmark(module: str, options: list[str]) -> str | None:
    if importlib.util.find_spec(module) is None:
        return f"there is no {module}"
    parser: argparse.ArgumentParser = importlib.import_module(module).command_line()
    usage = parser.format_usage()
    return _missing(options, set(OPTION.findall(usage)) | {"--help"}, module)


def _problem_of_program(words: list[str], options: list[str]) -> str | None:
    group = typer.main.get_command(PROGRAMS[words[0]])
    assert isinstance(group, TyperGroup)
    name = next((word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)), None)
    if name is None:
        return _missing(options, _options_of(group), words[0])
    if name not in group.commands:
        return f"{words[0]} has no command {name}"
    return _missing(options, _options_of(group.commands[name]), f"{words[0]} {name}")


def _options_of(command: TyperCommand | TyperGroup) -> set[str]:
    found = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return found | {"--help"}


def _missing(options: list[str], known: set[str], owner: str) -> str | None:
    unknown = [option for option in options if option not in known]
    return f"{owner} has no {', '.join(unknown)}" if unknown else None
