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

from edge_runtime.strict_yaml.nodes import Place, key_text, nodes_from_yaml

TEXT = frozenset({("name",), ("version",), ("dataset",)})

_SCALARS: tuple[tuple[str, Any], ...] = (
    (r"(?i:null|~|)", lambda text: None),
    (r"(?i:true|false)", lambda text: text.lower() == "true"),
    (r"[-+]?[0-9]+", int),
    (r"[-+]?([0-9]+\.[0-9]*|\.?[0-9]+)([eE][-+]?[0-9]+)?", float),
    (r"[-+]?\.(?i:inf)|\.(?i:nan)", lambda text: float(text.replace(".", "", 1))),
)


def values_from_yaml(text: str) -> tuple[Any, dict[Place, int]]:
    """The values (dict, tuple, str, int, float, bool, None), and the line of each place. Raises YamlError."""
    node, lines = nodes_from_yaml(text)
    return None if node is None else _value(node, ()), lines


def _value(node: yaml.Node, place: Place) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return tuple(_value(item, (*place, index)) for index, item in enumerate(node.value))
    if isinstance(node, yaml.MappingNode):
        return {key_text(key): _value(value, (*place, key_text(key))) for key, value in node.value}
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
