"""From nodes to values, as a pydantic model wants them: where it wants text, what is written is the value.

reading = values_for(root, Station)
reading.values["cell"]                  # "012", from `cell: 012`
reading.lines[("mqtt", "port")]         # 14
reading.unclear[("recipe",)]            # "found 0012: write it without leading zeros: 12"
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from edge_runtime.strict_yaml.nodes import ListNode, MapNode, Node, ScalarNode
from edge_runtime.strict_yaml.scalars import NULLS, boolean_for, plain_value, unclear_number

Place = tuple[str | int, ...]
LONGEST_SHOWN = 60
_UNKNOWN = object()  # the type of what a model does not have


@dataclass
class Reading:
    """Values (dict, tuple, str, int, float, bool, None), the line of each place, and what is not clear, with advice."""

    values: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    unclear: dict[Place, str] = field(default_factory=dict)


def values_for(root: Node | None, model: type[BaseModel], older: bool = False) -> Reading:
    """What a model is to be made of. older: numbers with leading zeros are decimal, as an earlier version read them."""
    reading = Reading()
    if root is not None:
        reading.values = _value(root, (), model, reading, older)
    return reading


def as_written(value: Any) -> str:
    """A value as the YAML file has it: text in quotes, as "3" is not 3, and not more of it than one can read."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(_shortened(value))
    if isinstance(value, tuple | list):
        return _shortened(f"[{', '.join(as_written(item) for item in value[:LONGEST_SHOWN])}]")
    if isinstance(value, dict):
        return _shortened(f"the keys {', '.join(value)}") if value else "no keys"
    return str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def _value(node: Node, place: Place, kind: Any, reading: Reading, older: bool) -> Any:
    reading.lines.setdefault(place, node.line)
    if isinstance(node, ListNode):
        return tuple(
            _value(item, (*place, index), _item_kind(kind, index), reading, older)
            for index, item in enumerate(node.items)
        )
    if isinstance(node, MapNode):
        reading.lines.update({(*place, key): line for key, line in node.key_lines.items()})
        return {
            key: _value(item, (*place, key), _key_kind(kind, key), reading, older) for key, item in node.items.items()
        }
    return _scalar(node, place, kind, reading, older)


def _scalar(node: ScalarNode, place: Place, kind: Any, reading: Reading, older: bool) -> Any:
    if not node.plain or kind is _UNKNOWN:  # nothing is shown of the value of a key that nobody knows
        return node.text
    wanted = set(_leaves(kind))
    if str in wanted and wanted <= {str, type(None)}:
        return None if node.text in NULLS else node.text
    advice = unclear_number(node.text, leading_zeros=not older)
    if advice and str in wanted:
        advice += "; if it is text, put it in quotes"
    if not advice and bool in wanted and str not in wanted and (word := boolean_for(node.text)):
        advice = f"write {word}"
    if advice:
        reading.unclear[place] = f"found {_shortened(node.text)}: {advice}"
        return node.text
    return plain_value(node.text)


def _key_kind(kind: Any, key: str) -> Any:
    """The type of a key's value, for a mapping of some type."""
    for option in _options(kind):
        if isinstance(option, type) and issubclass(option, BaseModel):
            found = option.model_fields.get(key)
            return _UNKNOWN if found is None else found.annotation
        if get_origin(option) is dict:
            return get_args(option)[1]
    return _UNKNOWN


def _item_kind(kind: Any, index: int) -> Any:
    """The type of an item, for a list of some type."""
    for option in _options(kind):
        if get_origin(option) in (tuple, list):
            items = [each for each in get_args(option) if each is not Ellipsis]
            return items[min(index, len(items) - 1)]
    return _UNKNOWN


def _options(kind: Any) -> Iterator[Any]:
    """The members of a union, or the one type."""
    if get_origin(kind) is Annotated:
        yield from _options(get_args(kind)[0])
    elif get_origin(kind) in (Union, types.UnionType):
        for option in get_args(kind):
            yield from _options(option)
    else:
        yield kind


def _leaves(kind: Any) -> Iterator[type]:
    """The types of the scalars that a type is made of: str (also for paths and words), int, float, bool, NoneType."""
    for option in _options(kind):
        origin = get_origin(option)
        if origin is Literal:
            yield from map(type, get_args(option))
        elif origin is not None:
            yield from (leaf for each in get_args(option) if each is not Ellipsis for leaf in _leaves(each))
        elif option is typing.Any:
            yield from (str, int, float, bool)
        elif isinstance(option, type) and issubclass(option, str | Path | Enum):
            yield str
        elif isinstance(option, type) and not issubclass(option, BaseModel):
            yield option
