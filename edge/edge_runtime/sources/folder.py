"""`folder://DIR`: the pictures of a folder and its subfolders, in name order, once or over and over."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

from edge_runtime.errors import PictureError, SourceMissingError
from edge_runtime.imaging.reader import list_pictures, read_picture
from edge_runtime.records import ErrorCode, FailedFrame, Frame, PictureFile
from edge_runtime.sources.protocol import JudgedFiles


class FolderSource:
    """Reads the pictures that the folder held when it was opened. One that cannot be read is a FailedFrame.

    Raises SourceMissingError when there is no such folder or no picture in it.
    """

    simulated = True

    def __init__(self, folder: Path, loop: bool = False) -> None:
        try:
            self._paths = list_pictures(folder, recursive=True)
        except PictureError as error:
            raise SourceMissingError(f"source folder://{folder}: {error}") from error
        if not self._paths:
            raise SourceMissingError(f"source folder://{folder}: there is no picture in it: check the path")
        self._folder, self._loop = folder, loop
        self._taken = 0

    def next_frame(self, wait_s: float = 0) -> Frame | FailedFrame | None:
        """The next picture, at once; its name is the path below the folder."""
        if self._taken >= len(self._paths) and not self._loop:
            return None
        path = self._paths[self._taken % len(self._paths)]
        self._taken += 1
        name, captured_ns = path.relative_to(self._folder).as_posix(), time.monotonic_ns()
        try:
            return Frame("folder", self._taken, captured_ns, read_picture(path), name)
        except PictureError as error:
            return FailedFrame(name, captured_ns, ErrorCode.FRAME_UNREADABLE, str(error), self._taken)

    def resume(self, judged: JudgedFiles) -> None:
        """Every run gives every picture."""

    def committed(self, file: PictureFile) -> None:
        """The file stays as it is."""

    def problem(self) -> str | None:
        """See Source."""
        return None

    def __enter__(self) -> FolderSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open between pictures."""
