"""Where frames come from: one Protocol, one module for each kind, chosen by the URI in the station's configuration.

settings = SourceSettings(uri="folder:///data/parts")
with open_source(settings) as source:
    frame = source.next_frame(wait_s=1.0)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, runtime_checkable

from edge_runtime.records import FailedFrame, Frame, NoFrame, PictureFile
from edge_runtime.sources.settings import SourceSettings


@dataclass(frozen=True)
class JudgedFiles:
    """What earlier runs judged: identities by name, and how to let those go whose files have left."""

    identities: Mapping[bytes, str]
    forget: Callable[[Iterable[PictureFile]], None]


class Source(Protocol):
    """Delivers frames one by one. A context manager: leaving it frees the device or file.

    Only the serving thread calls it. A recorded source delivers at once. A camera that is asked for a frame takes one
    now; one that decides itself delivers in the order of exposure.
    """

    @property
    def simulated(self) -> bool:
        """Whether its frames are recordings: their verdicts carry the flag `simulated`, and release no part."""

    def resume(self, judged: JudgedFiles) -> None:
        """Called once, before the first frame; for sources that could deliver a picture of an earlier run again."""

    def next_frame(self, wait_s: float) -> Frame | FailedFrame | NoFrame | None:
        """The next frame, owned by the caller; FailedFrame for one that was taken and could not be read; NoFrame when
        none came within `wait_s`; None after the last.
        """

    def committed(self, file: PictureFile) -> None:
        """The verdict of a frame that came with this file is on the disk. Never blocks."""

    def problem(self) -> str | None:
        """Why no frame can come now, for people; None when all is well. Called while there is nothing else to do: a
        camera that is lost tries to come back here, now and then."""

    def __enter__(self) -> Source: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Counting(Protocol):
    """A source that leaves something out, and counts it. Any thread may ask."""

    def left_out(self) -> Mapping[str, int]:
        """By reason, since it was opened: `dropped` (a newer frame came first), `late` (of a trigger that had expired),
        `incomplete` (packets missing), `passed_over` (files that are no pictures)."""


def open_source(settings: SourceSettings, mode: str = "free-running") -> Source:
    """Open what the settings name. mode: the station's, for a camera is triggered by it. Raises EdgeError."""
    # Imported here, so that a station loads what its own source needs and nothing more.
    if settings.is_watched:
        from edge_runtime.sources.watched_folder import WatchedFolder

        return WatchedFolder(settings.path, settings.watch)
    if settings.uri.startswith("folder://"):
        from edge_runtime.sources.folder import FolderSource

        return FolderSource(settings.path, settings.loop)
    if settings.uri.startswith("aravis://"):
        from edge_runtime.sources.aravis_camera import open_aravis

        return open_aravis(settings, mode)
    if settings.is_camera:
        from edge_runtime.sources.gst_camera import open_gst

        return open_gst(settings, mode)
    from edge_runtime.sources.video import VideoSource

    return VideoSource(settings.path, settings.loop)
