"""Where frames come from: one Protocol, one module for each kind, chosen by the URI in the station's configuration.

    folder://DIR    the pictures of a folder, recursive, in name order
    video://FILE    the frames of a video file

with open_source("folder:///data/parts", loop=False) as source: shot = source.next_frame(wait_s=1.0)
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol

from edge_runtime.errors import SourceError
from edge_runtime.records import FailedFrame, Frame, NoFrame

RECORDINGS = ("folder://", "video://")  # they have no camera's signals
SCHEMES = RECORDINGS  # all that there are


class Source(Protocol):
    """Delivers frames one by one. A context manager: leaving it frees the device or file.

    Only the serving thread calls it. A recorded source delivers at once. A camera that is asked for a frame takes one
    now; one that decides itself delivers in the order of exposure.
    """

    def next_frame(self, wait_s: float) -> Frame | FailedFrame | NoFrame | None:
        """The next frame, owned by the caller; FailedFrame for one that was taken and could not be read; NoFrame when
        none came within `wait_s`; None after the last.
        """

    def problem(self) -> str | None:
        """Why no frame can come now, for people; None when all is well. Called while there is nothing else to do: a
        camera that is lost tries to come back here, now and then."""

    def __enter__(self) -> Source: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_source(uri: str, loop: bool = False) -> Source:
    """Open what the URI names; `loop` begins again after the last frame. Raises SourceError."""
    # Imported here, so that a station loads what its own source needs and nothing more.
    if uri.startswith("folder://"):
        from edge_runtime.sources.folder import FolderSource

        return FolderSource(Path(uri.removeprefix("folder://")), loop)
    if uri.startswith("video://"):
        from edge_runtime.sources.video import VideoSource

        return VideoSource(Path(uri.removeprefix("video://")), loop)
    raise SourceError(f"there is no source for {uri!r}: it must begin with one of {', '.join(SCHEMES)}")
