"""What is wrong with a file, in its writer's words: the line, the key, what was found, what is allowed.

    problems(reading, errors, Station)      # ["line 9, mqtt.port: found 'abc': must be a valid integer", ...]

A field whose description says what is "allowed: " is told so; for others it is what pydantic asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from edge_runtime.strict_yaml.unknown_key import model_at, settings_of, unknown_key
from edge_runtime.strict_yaml.values import Place, Reading, as_written

MOST_PROBLEMS = 50
RULES = {"model_type": "must be a mapping of keys to values", "path_type": "must be a path"}


def problems(reading: Reading, errors: Sequence[ErrorDetails], model: type[BaseModel]) -> list[str]:
    """One text for each place, in the order of the file; what is missing comes first, or with what it is missing in."""
    found: dict[Place, list[ErrorDetails]] = {place: [] for place in reading.unclear}
    for detail in errors:
        found.setdefault(_place(detail, reading.lines), []).append(detail)
    ordered = sorted((_line(place, reading.lines), ".".join(map(str, place)), place) for place in found)
    texts = []
    for line, name, place in ordered[:MOST_PROBLEMS]:
        what = reading.unclear.get(place) or _what(place, found[place], model)
        texts.append(f"line {line}, {name}: {what}" if line and place else f"{name or 'file'}: {what}")
    return texts + [f"and {len(ordered) - MOST_PROBLEMS} more"] * (len(ordered) > MOST_PROBLEMS)


def allowed(field: FieldInfo) -> str:
    """What a field takes: the end of its description; empty when that does not say it."""
    return (field.description or "").partition("allowed: ")[2]


def meaning(field: FieldInfo) -> str:
    """What a field is: its description up to what is allowed."""
    return (field.description or "").partition("; allowed: ")[0]


def broken_rule(detail: ErrorDetails) -> str:
    """What was found and what it must be, without pydantic's own words."""
    rule = RULES.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return rule
    for pydantics in ("Input should", "String should"):
        rule = rule.replace(pydantics, "must")
    return f"found {as_written(detail['input'])}: {rule}"


def _place(detail: ErrorDetails, lines: Mapping[Place, int]) -> Place:
    """Where it stands in the file; pydantic names the members of a union as if they were places, too."""
    place: Place = tuple(detail["loc"])
    while place and place not in lines and detail["type"] != "missing":
        place = place[:-1]
    return place


def _line(place: Place, lines: Mapping[Place, int]) -> int:
    """0 for what is missing at the top."""
    return lines.get(place, 0) or lines.get(place[:-1], 0) * (len(place) > 1)


def _what(place: Place, details: Sequence[ErrorDetails], model: type[BaseModel]) -> str:
    first = details[0]
    if first["type"] == "extra_forbidden":
        return unknown_key(place, model)
    if any("password" in str(key) for key in place) and first["type"] != "missing":
        return "must be the path of a file; what was found is not repeated, it may be the password itself"
    field = _field(place, model)
    takes = f"allowed: {allowed(field)}" if field is not None and allowed(field) else None
    if first["type"] == "missing":
        return f"missing; {takes or (field.description if field is not None else None) or ''}".rstrip("; ")
    inner = settings_of(field) if field is not None else None
    if inner is not None and not isinstance(first["input"], Mapping):
        return f"found {as_written(first['input'])}; allowed: the keys {', '.join(inner.model_fields)}"
    if takes:
        return f"found {as_written(first['input'])}; {takes}"
    others = (broken_rule(detail).rpartition(": must be ")[2] for detail in details[1:])  # of a union's other members
    return " or ".join([broken_rule(first), *others])


def _field(place: Place, model: type[BaseModel]) -> FieldInfo | None:
    """The field of a place; for an item of a list, the list's field."""
    names = [key for key in place if isinstance(key, str)]
    return model_at(tuple(names[:-1]), model).model_fields.get(names[-1]) if names else None
