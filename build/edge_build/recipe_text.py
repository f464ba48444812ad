"""YAML for recipes: values with the line that each stands on, without YAML's surprises.

Only `true` and `false` are booleans (not `no`, `on`), `1e-2` is a number, `012` is twelve, dates and times stay text,
and a key that stands twice is an error. The value of a key of `TEXT` stays as it is written: `version: 1.10` is "1.10".

    values, lines = values_from_yaml(text)
    lines[("patchcore", "bank", "ratio")]  # 14
"""

from __future__ import annotations

import re
from typing import Any

import yaml

TEXT = frozenset({("name",), ("version",), ("dataset",)})

Place = tuple[str | int, ...]

_SCALARS: tuple[tuple[str, Any], ...] = (
    (r"(?i:null|~|)", lambda text: None),
    (r"(?i:true|false)", lambda text: text.lower() == "true"),
    (r"[-+]?[0-9]+", int),
    (r"[-+]?([0-9]+\.[0-9]*|\.?[0-9]+)([eE][-+]?[0-9]+)?", float),
    (r"[-+]?\.(?i:inf)|\.(?i:nan)", lambda text: float(text.replace(".", "", 1))),
)


class YamlError(ValueError):
    """Text that is no YAML, or has keys twice. The text says where and what."""


def values_from_yaml(text: str) -> tuple[Any, dict[Place, int]]:
    """The values (dict, tuple, str, int, float, bool, None), and the line of each place. Raises YamlError."""
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
    value = None if node is None else _value(node, (), lines, twice)
    if twice:
        raise YamlError("; ".join(twice))
    return value, lines


def _value(node: yaml.Node, place: Place, lines: dict[Place, int], twice: list[str]) -> Any:
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return tuple(_value(item, (*place, index), lines, twice) for index, item in enumerate(node.value))
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key_node.start_mark)
            below = (*place, key)
            if key in found:
                twice.append(
                    f"line {line}: {'.'.join(map(str, below))} stands here again, first in line {lines[below]}"
                )
            found[key] = _value(value_node, below, lines, twice)
            lines[below] = line
        return found
    return _scalar(node, place)


def _scalar(node: yaml.Node, place: Place) -> Any:
    text = str(node.value)
    quoted = isinstance(node, yaml.ScalarNode) and node.style is not None
    if quoted or (place in TEXT and text):
        return text
    for pattern, convert in _SCALARS:
        if re.fullmatch(pattern, text):
            return convert(text)
    return text
