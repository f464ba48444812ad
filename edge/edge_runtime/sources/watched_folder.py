"""`folder://DIR?watch`: pictures that a smart camera or a machine drops into a folder, each judged exactly once.

Rules:
- A picture is read when it is whole: closed by its writer or moved in; on a network share, and for what lay there at
  the start, when it has not changed for settle_ms. One that is cut off is waited for, and is ERROR after give_up_ms.
- Only regular files are opened. Hidden, temporary and foreign files are passed over and counted.
- A picture is left, moved or deleted only after its verdict is on the disk, and its name and identity with it.
- All contact with the folder is in a thread of its own: a share that hangs makes `problem()` say so, and blocks nobody.

source = WatchedFolder(Path("/srv/ftp/camera1"), WatchSettings(after="done"))
"""

from __future__ import annotations

import os
import queue
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from edge_runtime.records import FailedFrame, Frame, NoFrame, PictureFile
from edge_runtime.sources.folder_follower import FolderFollower
from edge_runtime.sources.protocol import JudgedFiles
from edge_runtime.sources.settings import WatchSettings

READ_AHEAD = 2  # pictures in memory that wait to be judged
CLOSE_S = 2.0


class WatchedFolder:
    """See the module. Frames are named by their file; one that cannot be read is a FailedFrame with its name."""

    simulated = False

    def __init__(self, folder: Path, settings: WatchSettings) -> None:
        self._ready: queue.Queue[Frame | FailedFrame] = queue.Queue(READ_AHEAD)
        self._committed: queue.SimpleQueue[PictureFile] = queue.SimpleQueue()
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._closing = threading.Event()
        self._follower = FolderFollower(
            folder, settings, self._ready, self._committed, self._closing, self._wake_reader
        )
        self._thread = threading.Thread(target=self._follower.run, name="folder", daemon=True)

    def resume(self, judged: JudgedFiles) -> None:
        """See Source."""
        self._follower.remember(judged)

    def next_frame(self, wait_s: float) -> Frame | FailedFrame | NoFrame:
        """The next picture in the order of arrival."""
        if not self._thread.is_alive():
            self._thread.start()
        try:
            frame = self._ready.get(timeout=max(wait_s, 0.001))
        except queue.Empty:
            return NoFrame()
        self._wake()
        # Its age counts from here: a picture may have waited for a station that was off.
        return replace(frame, captured_ns=time.monotonic_ns())

    def committed(self, file: PictureFile) -> None:
        """See Source: now the file may leave."""
        self._committed.put(file)
        self._wake()

    def problem(self) -> str | None:
        """See Source."""
        return self._follower.problem()

    def waiting(self) -> int:
        """How many pictures are known to wait."""
        return self._follower.waiting + self._ready.qsize()

    def left_out(self) -> dict[str, int]:
        """See Counting: hidden, temporary and foreign files, and what is no regular file."""
        return {"passed_over": self._follower.passed_over}

    def __enter__(self) -> WatchedFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)  # a share that hangs would keep it for ever; it ends with the process
        if not self._thread.is_alive():
            os.close(self._wake_reader)
            os.close(self._wake_writer)

    def _wake(self) -> None:
        try:
            os.write(self._wake_writer, b"x")
        except BlockingIOError:  # it is awake enough
            return
