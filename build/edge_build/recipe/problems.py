"""What is wrong with a recipe, in its writer's words: the line, the key, what was found, what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edge_runtime.strict_yaml.nodes import Place, told_by_line
from edge_runtime.strict_yaml.unknown_key import model_at, settings_of, unknown_key


def problems_from_error(
    error: pydantic.ValidationError, model: type[BaseModel], lines: Mapping[Place, int]
) -> list[str]:
    """One line a problem, in the order of the file; keys that are missing come first."""
    found = ((p["loc"], _what(p["type"], p["loc"], p["input"], model)) for p in error.errors())
    return told_by_line(found, lines)


def allowed(field: FieldInfo) -> str:
    """What a field takes: the end of its description."""
    return (field.description or "").partition("allowed: ")[2]


def meaning(field: FieldInfo) -> str:
    """What a field is: its description up to what is allowed."""
    return (field.description or "").partition("; allowed: ")[0]


def _what(kind: str, place: Place, value: object, model: type[BaseModel]) -> str:
    if kind == "extra_forbidden":
        return unknown_key(place, model)
    field = _field(place, model)
    if kind == "missing":
        return f"is missing; allowed: {allowed(field)}"
    inner = settings_of(field)
    if inner is not None and not isinstance(value, Mapping):
        return f"found {_as_written(value)}; allowed: the keys {', '.join(inner.model_fields)}"
    return f"found {_as_written(value)}; allowed: {allowed(field)}"


def _field(place: Place, model: type[BaseModel]) -> FieldInfo:
    """The field of a place; for an item of a list, the list's field."""
    names = [key for key in place if isinstance(key, str)]
    return model_at(tuple(names[:-1]), model).model_fields[names[-1]]


def _as_written(value: Any) -> str:
    """A value as the YAML file has it; text is called text, as "3" is not 3."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text '{value}'"
    if isinstance(value, tuple):
        return f"[{', '.join(_as_written(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"the keys {', '.join(map(str, value))}" if value else "no keys"
    return str(value)
