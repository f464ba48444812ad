"""YAML read so that an error can name its line: the document's nodes, and the line of each place in it.

    node, lines = nodes_from_yaml(text)
    lines[("mqtt", "port")]  # 14

Recipes and stations are read by it. A key that stands twice is an error, as is an alias: whoever wrote it may not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import yaml

Place = tuple[str | int, ...]


class YamlError(ValueError):
    """Text that is no YAML, or has keys twice. The text says where and what, and repeats no value."""


def nodes_from_yaml(text: str) -> tuple[yaml.Node | None, dict[Place, int]]:
    """The root node, None for an empty document, and the line (from 1) of each key and item. Raises YamlError."""
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise YamlError("an alias (*name) is used: write the value again instead")
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise YamlError(f"{where}this is no YAML: {getattr(error, 'problem', None) or error}") from None
    lines: dict[Place, int] = {}
    twice: list[str] = []
    if node is not None:
        _note(node, (), lines, twice)
    if twice:
        raise YamlError("; ".join(twice))
    return node, lines


def key_text(node: yaml.Node) -> str:
    """A key as it is written."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else str(node.start_mark)


def told_by_line(problems: Iterable[tuple[Place, str]], lines: Mapping[Place, int]) -> list[str]:
    """One text a problem, in the order of the file; what is missing stands where it should be, and comes first."""
    found = []
    for place, what in problems:
        line = lines.get(place, 0) or lines.get(place[:-1], 0) * (len(place) > 1)
        where = ".".join(map(str, place)) or "file"
        found.append((line, f"line {line}, {where}: {what}" if line and place else f"{where}: {what}"))
    return [text for _, text in sorted(found)]


def _note(node: yaml.Node, place: Place, lines: dict[Place, int], twice: list[str]) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note(item, (*place, index), lines, twice)
    elif isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            below, line = (*place, key_text(key_node)), key_node.start_mark.line + 1
            if below in lines:
                first = lines[below]
                twice.append(f"line {line}: {'.'.join(map(str, below))} stands here again, first in line {first}")
            lines.setdefault(below, line)
            _note(value_node, below, lines, twice)
