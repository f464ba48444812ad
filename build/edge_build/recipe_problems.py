"""What is wrong with a recipe, in its writer's words: the line, the key, what was found, what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edge_build.recipe_text import Place


def problems_from_error(
    error: pydantic.ValidationError, model: type[BaseModel], lines: Mapping[Place, int]
) -> list[str]:
    """One line a problem, in the order of the file; keys that are missing come first."""
    found = []
    for problem in error.errors():
        place: Place = tuple(problem["loc"])
        line = lines.get(place) or lines.get(place[:-1], 0) * (len(place) > 1)  # what is missing: where it should be
        where = ".".join(map(str, place))
        what = _what(problem["type"], place, problem["input"], model)
        found.append((line, f"line {line}, {where}: {what}" if line else f"{where}: {what}"))
    return [text for _, text in sorted(found)]


def allowed(field: FieldInfo) -> str:
    """What a field takes: the end of its description."""
    return (field.description or "").partition("allowed: ")[2]


def meaning(field: FieldInfo) -> str:
    """What a field is: its description up to what is allowed."""
    return (field.description or "").partition("; allowed: ")[0]


def settings_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that has keys of its own."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _what(kind: str, place: Place, value: object, model: type[BaseModel]) -> str:
    if kind == "extra_forbidden":
        return _unknown(place, model)
    field = _field(place, model)
    if kind == "missing":
        return f"is missing; allowed: {allowed(field)}"
    inner = settings_of(field)
    if inner is not None and not isinstance(value, Mapping):
        return f"found {_said(value)}; allowed: the keys {', '.join(inner.model_fields)}"
    return f"found {_said(value)}; allowed: {allowed(field)}"


def _unknown(place: Place, model: type[BaseModel]) -> str:
    """A key that does not exist: a slip of the pen, or one that stands in the wrong place."""
    *above, key = place
    here = _model(tuple(above), model)
    if close := difflib.get_close_matches(str(key), here.model_fields, n=1):
        return f"unknown key; did you mean {close[0]}?"
    elsewhere = [where for where, name in _all_keys(model) if name == key]
    if elsewhere:
        return f"unknown key here; it belongs {f'under {elsewhere[0]}' if elsewhere[0] else 'at the top'}"
    return f"unknown key; allowed: {', '.join(here.model_fields)}"


def _all_keys(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        yield above, name
        if inner := settings_of(field):
            yield from _all_keys(inner, f"{above}.{name}" if above else name)


def _model(place: Place, model: type[BaseModel]) -> type[BaseModel]:
    for key in place:
        model = settings_of(model.model_fields[str(key)]) or model
    return model


def _field(place: Place, model: type[BaseModel]) -> FieldInfo:
    """The field of a place; for an item of a list, the list's field."""
    names = [key for key in place if isinstance(key, str)]
    return _model(tuple(names[:-1]), model).model_fields[names[-1]]


def _said(value: Any) -> str:
    """A value as the YAML file has it; text is called text, as "3" is not 3."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text '{value}'"
    if isinstance(value, tuple):
        return f"[{', '.join(_said(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"the keys {', '.join(map(str, value))}" if value else "no keys"
    return str(value)
