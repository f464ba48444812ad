"""Judged pictures of a watched folder: moved into its folder `done` or deleted, as `watch.after` says.

pictures = JudgedPictures(folder, settings)
pictures.add(name, identity)
for name, identity in pictures.put_away(state_of): ...     # those that are gone from the folder now
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_runtime.sources.arrivals import FileState
from edge_runtime.sources.settings import WatchSettings

log = logging.getLogger(__name__)

AGAIN_S = 10.0
DONE = "done"


class JudgedPictures:
    """Those still to be moved or deleted, by name with their identity; none where `watch.after` is `leave`."""

    def __init__(self, folder: Path, settings: WatchSettings) -> None:
        self._folder, self._after = folder, settings.after
        self._due: dict[bytes, str] = {}
        self._not_before_s = 0.0

    def add(self, name: bytes, identity: str) -> None:
        """Its verdict is on the disk."""
        if self._after != "leave":
            self._due[name] = identity

    def __contains__(self, name: bytes) -> bool:
        return name in self._due

    def put_away(self, state_of: Callable[[bytes], FileState | None]) -> Iterator[tuple[bytes, str]]:
        """Move or delete each, and yield it when that is done. What cannot be is tried again ten seconds later.

        state_of: of a file of the folder; None when it is not there. Raises the OSError that it raises.
        """
        if time.monotonic() < self._not_before_s:
            return
        for name, identity in list(self._due.items()):
            state = state_of(name)
            if state is not None and state.identity == identity:
                try:
                    self._put_away_file(self._folder / os.fsdecode(name))
                except OSError as error:  # it is remembered as judged, and the next pictures are judged, too
                    log.warning("%s: %s is judged and cannot be put away: %s", self._folder, name_text(name), error)
                    self._not_before_s = time.monotonic() + AGAIN_S
                    return
            del self._due[name]
            yield name, identity

    def _put_away_file(self, path: Path) -> None:
        if self._after == "delete":
            path.unlink(missing_ok=True)
            return
        done = self._folder / DONE
        done.mkdir(exist_ok=True)
        target, number = done / path.name, 1
        while os.path.lexists(target):
            number += 1
            target = done / f"{path.stem}-{number}{path.suffix}"
        path.rename(target)


def name_text(name: bytes) -> str:
    """A name for people and messages, whatever bytes it has."""
    return name.decode("utf-8", "backslashreplace")
