"""A YAML file read into a pydantic model: every problem at once, each with its line, what was found, what is allowed.

station = model_from_yaml(Path("station.yaml"), Station, "`edge-daemon init` writes one")

station.yaml does not describe a station:
  line 9, mqtt.port: found 'abc': must be a valid integer
  line 10, mqtt.hots: unknown key; did you mean host?

Stations and recipes are read by it: by YAML 1.2's rules, and as the model wants its values (docs/decisions/0021).
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pydantic

from edge_runtime.errors import ConfigError
from edge_runtime.strict_yaml.nodes import YamlError, nodes_from_yaml
from edge_runtime.strict_yaml.problems import problems
from edge_runtime.strict_yaml.values import values_for

Model = TypeVar("Model", bound=pydantic.BaseModel)
MOST_BYTES = 256_000  # twenty times what `init` writes


def model_from_yaml(path: Path, model: type[Model], advice: str) -> Model:
    """Read the file. advice: how to get one. Raises ConfigError."""
    return model_from_text(_text(path, advice), path, model, advice)


def model_from_text(text: str, path: Path, model: type[Model], advice: str, older: bool = False) -> Model:
    """`model_from_yaml` for text; `path` is for messages. Raises ConfigError.

    older: the text is part of a bundle: what an earlier version took is taken as that one did.
    """
    try:
        reading = values_for(nodes_from_yaml(text, older), model, older)
    except YamlError as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(reading.values, dict):
        raise ConfigError(f"{path} holds no keys; {advice}")
    try:
        made = model.model_validate(reading.values)
        found = problems(reading, (), model)
    except pydantic.ValidationError as error:
        found = problems(reading, error.errors(), model)
    if found:
        raise ConfigError("\n  ".join([f"{path} does not describe a {model.__name__.lower()}:", *found]))
    return made


def _text(path: Path, advice: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        found = f"{path} cannot be read: {error.strerror}"
        raise ConfigError(f"{found}; check the path and the rights; {advice}") from error
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{path} has more than {MOST_BYTES} bytes: this is another file; {advice}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path} is not UTF-8 text (line {line}, byte {error.start}): save it as UTF-8") from error
