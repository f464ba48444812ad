"""A YAML file read into a pydantic model: every problem at once, each with its line, what was found, what is allowed.

station = model_from_yaml(Path("station.yaml"), Station)

station.yaml does not describe a station:
  line 9, mqtt.port: found 'abc': must be a valid integer
  line 10, mqtt.hots: unknown key; did you mean host?
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pydantic
import yaml
from pydantic_core import ErrorDetails

from edge_runtime.errors import ConfigError
from edge_runtime.strict_yaml.nodes import YamlError, nodes_from_yaml, told_by_line
from edge_runtime.strict_yaml.unknown_key import model_at, unknown_key

Model = TypeVar("Model", bound=pydantic.BaseModel)
RULES = {"model_type": "must be a mapping of keys to values", "path_type": "must be a path"}
YAML_WORDS = {"None": "nothing", "True": "true", "False": "false"}


def model_from_yaml(path: Path, model: type[Model]) -> Model:
    """Read the file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; check the path and the rights") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    try:
        node, lines = nodes_from_yaml(text)
        content = None if node is None else yaml.SafeLoader("").construct_document(node)
    except (YamlError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no keys; `edge-daemon init` writes a {model.__name__.lower()}'s file")
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        found = ((tuple(detail["loc"]), _what(detail, model)) for detail in error.errors())
        problems = "".join(f"\n  {problem}" for problem in told_by_line(found, lines))
        raise ConfigError(f"{path} does not describe a {model.__name__.lower()}:{problems}") from error


def _what(detail: ErrorDetails, model: type[pydantic.BaseModel]) -> str:
    place = tuple(detail["loc"])
    if detail["type"] == "extra_forbidden":
        return unknown_key(place, model)
    if detail["type"] == "missing":
        field = model_at(place[:-1], model).model_fields.get(str(place[-1]))
        return f"missing; {(field.description if field is not None else None) or ''}".rstrip("; ")
    return broken_rule(detail)


def broken_rule(detail: ErrorDetails) -> str:
    """What was found and what it must be, without pydantic's own words."""
    rule = RULES.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return rule
    for pydantics in ("Input should", "String should"):
        rule = rule.replace(pydantics, "must")
    found = repr(detail["input"])
    return f"found {YAML_WORDS.get(found, found)}: {rule}"
