"""A key that a file has and its model does not: a slip of the pen, or one that stands in the wrong place.

unknown_key(("mqtt", "hots"), Station)  # "unknown key; did you mean host?"
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edge_runtime.strict_yaml.values import Place


def unknown_key(place: Place, model: type[BaseModel]) -> str:
    """What to say of it. The value is not repeated: an unknown key may well be somebody's password."""
    *_, key = place
    here = model_at(place[:-1], model)
    if close := difflib.get_close_matches(str(key), here.model_fields):
        best = max(close, key=lambda name: _in_common(name, str(key)))  # `passwort` is `password_file`, not `port`
        return f"unknown key; did you mean {best}?"
    elsewhere = [f"under {where}" if where else "at the top" for where, name in _all_keys(model) if name == key]
    if elsewhere:
        return f"unknown key here; it belongs {' or '.join(elsewhere)}"
    return f"unknown key; allowed: {', '.join(here.model_fields)}"


def model_at(place: Place, model: type[BaseModel]) -> type[BaseModel]:
    """The model whose keys stand at a place."""
    for key in place:
        field = model.model_fields.get(str(key))
        model = (settings_of(field) if field is not None else None) or model
    return model


def settings_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that has keys of its own, also of one that may be null."""
    options = (field.annotation, *getattr(field.annotation, "__args__", ()))
    return next((kind for kind in options if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _in_common(a: str, b: str) -> int:
    """The length of the longest run of letters that both have."""
    return difflib.SequenceMatcher(None, a, b, autojunk=False).find_longest_match(0, len(a), 0, len(b)).size


def _all_keys(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        yield above, name
        if inner := settings_of(field):
            yield from _all_keys(inner, f"{above}.{name}" if above else name)
