"""What was changed in a station's file since the station started: it needs a restart, and a RELOAD says so.

edits = edits_since_start(running, Path("station.yaml"))
edits.text(60)   # 'restart to apply recipe, mqtt.port'; empty when nothing was changed
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from edge_runtime.config.station import Station, read_station
from edge_runtime.errors import ConfigError


@dataclass(frozen=True)
class Edits:
    """keys: what differs from the running station, nested ones as `mqtt.port`. problem: why the file cannot be used."""

    keys: tuple[str, ...] = ()
    problem: str = ""

    def text(self, length: int) -> str:
        """For people, in ASCII: the keys where `length` characters have room for them, otherwise how many there are."""
        if self.problem:
            return "the station's file has errors"
        if not self.keys:
            return ""
        text = f"restart to apply {', '.join(self.keys)}"
        return text if len(text) <= length else f"restart to apply {len(self.keys)} changed keys"


def edits_since_start(running: Station, file: Path) -> Edits:
    """Read the file again and compare. Raises nothing: a file that is gone or wrong is an edit, too."""
    try:
        edited = read_station(file)
    except ConfigError as error:
        return Edits(problem=str(error))
    return Edits(tuple(_differing(running, edited)))


def _differing(running: BaseModel, edited: BaseModel) -> Iterator[str]:
    for key in type(running).model_fields:
        before, after = getattr(running, key), getattr(edited, key)
        if isinstance(before, BaseModel) and type(before) is type(after):
            yield from (f"{key}.{below}" for below in _differing(before, after))
        elif before != after:
            yield key
