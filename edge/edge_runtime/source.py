"""Where frames come from: one Protocol, one module for each kind, chosen by the URI in the station's configuration.

    folder://DIR    the pictures of a folder, recursive, in name order
    video://FILE    the frames of a video file

with open_source("folder:///data/parts", loop=False) as source: shot = source.next_frame()
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol

from edge_runtime.errors import SourceError
from edge_runtime.records import Frame, LostFrame

SCHEMES = ("folder://", "video://")


class Source(Protocol):
    """Delivers frames one by one. A context manager: leaving it frees the device or file."""

    def next_frame(self) -> Frame | LostFrame | None:
        """The next frame, owned by the caller; LostFrame for one that could not be read; None after the last."""

    def __enter__(self) -> Source: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_source(uri: str, loop: bool = False) -> Source:
    """Open what the URI names; `loop` begins again after the last frame. Raises SourceError."""
    # Imported here, so that a station loads what its own source needs and nothing more.
    if uri.startswith("folder://"):
        from edge_runtime.folder_source import FolderSource

        return FolderSource(Path(uri.removeprefix("folder://")), loop)
    if uri.startswith("video://"):
        from edge_runtime.video_source import VideoSource

        return VideoSource(Path(uri.removeprefix("video://")), loop)
    raise SourceError(f"there is no source for {uri!r}: it must begin with one of {', '.join(SCHEMES)}")


class PacedSource:
    """Another source at a steady pace: a frame every 1/fps seconds, as a camera would. It does not catch up.

    wait: sleeps for some seconds and may return early, when the station stops.
    """

    def __init__(
        self,
        source: Source,
        fps: float,
        wait: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._period_s, self._wait, self._clock = source, 1 / fps, wait, clock
        self._due = clock()

    def next_frame(self) -> Frame | LostFrame | None:
        """Wait until the next frame is due, then take it."""
        ahead = self._due - self._clock()
        if ahead > 0:
            self._wait(ahead)
        self._due = max(self._due, self._clock()) + self._period_s
        return self._source.next_frame()

    def __enter__(self) -> PacedSource:
        self._source.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.__exit__(kind, error, trace)
