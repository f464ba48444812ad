"""`video://FILE`: the frames of a video file, once or over and over."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import SourceMissingError
from edge_runtime.records import ErrorCode, FailedFrame, Frame, PictureFile
from edge_runtime.sources.protocol import JudgedFiles

COUNT_IS_ABOUT = 0.02  # containers state their length roughly; shorter by more than this share is a broken file


class VideoSource:
    """Reads frames through OpenCV. A file that ends long before its stated length gives one FailedFrame at its end.

    Raises SourceMissingError when the file is missing, is no video, or does not give a single frame.
    """

    simulated = True

    def __init__(self, path: Path, loop: bool = False) -> None:
        if not path.is_file():
            raise SourceMissingError(f"source video://{path}: there is no such file: check the path")
        self._path, self._loop = path, loop
        self._sequence = 0
        self._capture, self._ahead = self._open()
        self._in_pass = 0  # frames given since the file's beginning
        self._reported_short = False

    def next_frame(self, wait_s: float = 0) -> Frame | FailedFrame | None:
        """The next frame, at once, named by the file and the frame's place in it."""
        captured_ns = time.monotonic_ns()
        image = self._take()
        if image is None and (short := self._short_by()) and not self._reported_short:
            self._reported_short, self._sequence = True, self._sequence + 1
            return FailedFrame(self._name(), captured_ns, ErrorCode.FRAME_MISSING, short, self._sequence)
        if image is None and self._loop:
            self._capture.release()
            self._capture, self._ahead = self._open()
            self._in_pass = 0
            image = self._take()
        if image is None:
            return None
        self._sequence, self._in_pass = self._sequence + 1, self._in_pass + 1
        return Frame("video", self._sequence, captured_ns, image, self._name())

    def resume(self, judged: JudgedFiles) -> None:
        """Every run gives every picture."""

    def committed(self, file: PictureFile) -> None:
        """The file stays as it is."""

    def problem(self) -> str | None:
        """See Source."""
        return None

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.release()

    def _name(self) -> str:
        return f"{self._path.name}#{self._in_pass}"

    def _take(self) -> NDArray[np.uint8] | None:
        if self._ahead is not None:
            image, self._ahead = self._ahead, None
            return image
        delivered, pixels = self._capture.read()
        return np.asarray(pixels, dtype=np.uint8) if delivered else None

    def _open(self) -> tuple[cv2.VideoCapture, NDArray[np.uint8] | None]:
        """The file at its beginning, and its first frame: a video that gives none must not be looped over for ever."""
        capture = cv2.VideoCapture(str(self._path))
        delivered, pixels = capture.read()
        if not delivered:
            capture.release()
            raise SourceMissingError(
                f"source video://{self._path}: no frame can be read from it: play it with ffplay, or convert it "
                "(ffmpeg -i FILE -c:v mjpeg -q:v 2 OUT.avi)"
            )
        return capture, np.asarray(pixels, dtype=np.uint8)

    def _short_by(self) -> str | None:
        """What to say of a file that ended early; None when it did not."""
        stated = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if stated - self._in_pass <= max(2, stated * COUNT_IS_ABOUT):
            return None
        return f"{self._path} ended after {self._in_pass} of {stated} frames: the file is broken, copy it again"
