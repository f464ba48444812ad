"""What `edge-daemon init` writes: a station's file with every key, its comment and its default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from edge_runtime.config.station import Station

HEADING = """\
# A station of the inspection line: one source of pictures, one bundle, one place on the broker.
# Check it with `edge-daemon check FILE`, run it with `edge-daemon run FILE`. Relative paths count from this file.
# An editor checks it as you type once `edge-daemon schema > station.schema.json` has put its schema beside it.
# yaml-language-server: $schema=station.schema.json
"""


def text_from_station(station: Station) -> str:
    """The commented YAML of a station, which `read_station` reads back as it was."""
    return HEADING + "\n".join(_lines(station, "")) + "\n"


def _lines(part: BaseModel, indent: str) -> Iterator[str]:
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, BaseModel):
            yield f"\n{indent}{name}:" + (f"  # {value.__doc__.strip()}" if value.__doc__ else "")
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{name}: {_scalar(value)}" + (f"  # {field.description}" if field.description else "")


def _scalar(value: Any) -> str:
    """A YAML scalar; JSON's spelling is valid YAML, and quotes every string that could be taken for something else."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, tuple):
        return f"[{', '.join(_scalar(one) for one in value)}]"
    if isinstance(value, BaseModel):
        return f"{{{', '.join(f'{name}: {_scalar(getattr(value, name))}' for name in type(value).model_fields)}}}"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
