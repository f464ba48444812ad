"""A YAML file read into a pydantic model: every problem at once, each with its place, what was found, what is allowed.

station = model_from_yaml(Path("station.yaml"), Station)

station.yaml does not describe a station:
  mqtt.port: found 'abc': must be a valid integer
  mqtt.hots: unknown key; allowed here: host, port, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml
from pydantic_core import ErrorDetails

from edge_runtime.errors import ConfigError

Model = TypeVar("Model", bound=pydantic.BaseModel)


def model_from_yaml(path: Path, model: type[Model]) -> Model:
    """Read the file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; check the path and the rights") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    try:
        content = yaml.load(text, Loader=_LoaderWithoutDuplicates)  # a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must be a mapping of keys to values, not {type(content).__name__}")
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        problems = "".join(f"\n  {_problem(detail, model)}" for detail in error.errors())
        raise ConfigError(f"{path} does not describe a {model.__name__.lower()}:{problems}") from error


class _LoaderWithoutDuplicates(yaml.SafeLoader):
    """SafeLoader takes the last of two equal keys in silence; whoever wrote the first would wonder."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} appears twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _problem(detail: ErrorDetails, model: type[pydantic.BaseModel]) -> str:
    place = ".".join(map(str, detail["loc"])) or "file"
    if detail["type"] == "extra_forbidden":
        # The value is not repeated: an unknown key may well be somebody's password.
        return f"{place}: unknown key; allowed here: {', '.join(_keys_beside(detail['loc'], model))}"
    if detail["type"] == "missing":
        return f"{place}: missing; {_description(detail['loc'], model)}".rstrip("; ")
    rule = detail["msg"].removeprefix("Value error, ").replace("Input should", "must")
    if detail["type"] == "value_error":
        return f"{place}: {rule}"
    return f"{place}: found {detail['input']!r}: {rule}"


def _model_at(loc: Sequence[int | str], model: type[pydantic.BaseModel]) -> type[pydantic.BaseModel]:
    """The model that the last key of a place belongs to."""
    for key in loc[:-1]:
        field = model.model_fields.get(str(key))
        if field is None:
            break
        options = (field.annotation, *getattr(field.annotation, "__args__", ()))
        inner = next((o for o in options if isinstance(o, type) and issubclass(o, pydantic.BaseModel)), None)
        if inner is None:
            break
        model = inner
    return model


def _keys_beside(loc: Sequence[int | str], model: type[pydantic.BaseModel]) -> list[str]:
    return list(_model_at(loc, model).model_fields)


def _description(loc: Sequence[int | str], model: type[pydantic.BaseModel]) -> str:
    field = _model_at(loc, model).model_fields.get(str(loc[-1]))
    return (field.description or "") if field is not None else ""
