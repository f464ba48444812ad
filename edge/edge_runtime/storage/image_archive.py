"""Pictures as evidence: those of NOK and ERROR verdicts, and of every n-th OK, in a ring on the disk.

Rules:
- `0000000041-NOK.png` is the frame as it was judged, without loss; `0000000041-NOK.map.png` its anomaly map, 16 bits,
  scaled like the score: 32768 is the threshold. The verdict carries the SHA-256 of the frame's pixels.
- `0000000041-NOK.overlay.jpg`, of a NOK alone, shows a person both at once; when the thread is behind, it is the first
  to be left out.
- A verdict never waits for a picture: they are written by a thread of their own, and when it cannot keep up, or the
  disk has little room, or the pictures' room is needed for verdicts, they are left out and counted.
- When the quota is used up the oldest go.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.files import Durability, remove_unfinished, write_file
from edge_runtime.records import AnomalyMap, Frame, Outcome, Verdict
from edge_runtime.storage.evidence_overlay import overlay_jpeg

log = logging.getLogger(__name__)

FOLDER = "pictures"
WAITING = 8  # pictures that wait to be written; they are held in memory
OVERLAY_WAITING = 2  # with more pictures waiting than that, there is no time for drawing
PICTURE, MAP, OVERLAY = ".png", ".map.png", ".overlay.jpg"
FREE_BYTES = 64_000_000  # with less room on the disk, pictures give way to verdicts


@dataclass(frozen=True)
class _Picture:
    verdict: Verdict
    image: NDArray[np.uint8]
    anomaly_map: AnomalyMap | None

    @property
    def name(self) -> str:
        return f"{self.verdict.seq:010d}-{self.verdict.decision.outcome.name}"


class ImageArchive:
    """The ring of one station, in `state_dir`/pictures. A context manager: leaving it writes what waits.

    max_bytes: the quota; 0 keeps nothing. every_ok: keep the picture of every so many OK; 0 keeps none.
    """

    def __init__(self, state_dir: Path, max_bytes: int, every_ok: int, free_bytes: int = FREE_BYTES) -> None:
        self._folder, self._quota, self._every_ok = state_dir / FOLDER, max_bytes, every_ok
        self._free_bytes = free_bytes
        self._allowed, self._logged = max_bytes, False
        self._oks = 0
        self._kept: dict[str, int] = {}  # name -> bytes of its files, the oldest first
        self._kept_bytes = 0
        self._waiting: queue.Queue[_Picture | None] = queue.Queue(WAITING)
        self.left_out = 0
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)

    def __enter__(self) -> ImageArchive:
        if self._quota:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._quota:
            self._waiting.put(None)
            self._thread.join()

    def digest(self, outcome: Outcome, frame: Frame) -> str:
        """The hash to put into the verdict: SHA-256 of the pixels, row by row, blue, green, red. Empty: not kept."""
        if not self._allowed or self._waiting.full():
            self.left_out += bool(self._quota) and outcome is not Outcome.OK
            return ""
        if outcome is Outcome.OK:
            self._oks += 1
            if not self._every_ok or self._oks % self._every_ok:
                return ""
        return hashlib.sha256(np.ascontiguousarray(frame.image).data).hexdigest()

    def keep(self, verdict: Verdict, frame: Frame, anomaly_map: AnomalyMap | None) -> None:
        """Write the picture of a verdict that carries its hash. The frame is not changed any more by anyone."""
        try:
            self._waiting.put_nowait(_Picture(verdict, frame.image, anomaly_map))
        except queue.Full:
            self.left_out += 1

    def allow(self, max_bytes: int) -> None:
        """Pictures may take so much from now on: less than the quota when verdicts need the room."""
        self._allowed = min(self._quota, max_bytes)

    def _run(self) -> None:
        self._find_kept()
        while (picture := self._waiting.get()) is not None:
            try:
                self._make_room()
                if self._allowed and self._has_room():
                    self._write(picture)
                else:
                    self.left_out += 1
            except OSError as error:
                self.left_out += 1
                self._log(f"pictures cannot be written: {error}; verdicts go on")
            except Exception as error:  # a bug in drawing or encoding one must not end the thread
                self.left_out += 1
                self._log(f"the picture of verdict {picture.verdict.seq} cannot be written; verdicts go on", error)

    def _find_kept(self) -> None:
        """What an earlier run kept. Half-written files of a crash go."""
        try:
            self._folder.mkdir(0o700, parents=True, exist_ok=True)
            remove_unfinished(self._folder)
            for path in sorted(p for p in self._folder.iterdir() if p.name.endswith((PICTURE, OVERLAY))):
                name = path.name.partition(".")[0]
                length = path.stat().st_size
                self._kept[name] = self._kept.get(name, 0) + length
                self._kept_bytes += length
        except OSError as error:
            self._log(f"{self._folder} cannot be used: {error}; no pictures are kept, verdicts go on")

    def _make_room(self) -> None:
        while self._kept and (self._kept_bytes > self._allowed or not self._has_room()):
            oldest = next(iter(self._kept))
            for suffix in (PICTURE, MAP, OVERLAY):
                (self._folder / f"{oldest}{suffix}").unlink(missing_ok=True)
            self._kept_bytes -= self._kept.pop(oldest)

    def _has_room(self) -> bool:
        if shutil.disk_usage(self._folder).free >= self._free_bytes:
            self._logged = False
            return True
        self._log(f"{self._folder}: the disk is nearly full: pictures are left out, verdicts go on")
        return False

    def _write(self, picture: _Picture) -> None:
        self._kept.setdefault(picture.name, 0)
        for suffix, coded in self._files(picture):
            path = self._folder / f"{picture.name}{suffix}"
            write_file(path, coded.data, Durability.ATOMIC, 0o600)  # not a copy, for which all other threads would wait
            self._kept[picture.name] += coded.size
            self._kept_bytes += coded.size

    def _files(self, picture: _Picture) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """Suffix and bytes of each file, the picture itself before what only helps to look at it."""
        anomaly_map = picture.anomaly_map
        if anomaly_map is not None:
            yield MAP, png(scaled_map(anomaly_map))
        yield PICTURE, png(picture.image)
        is_nok = picture.verdict.decision.outcome is Outcome.NOK
        if anomaly_map is not None and is_nok and self._waiting.qsize() <= OVERLAY_WAITING:
            yield OVERLAY, overlay_jpeg(picture.verdict, picture.image, anomaly_map)

    def _log(self, what: str, bug: Exception | None = None) -> None:
        if not self._logged:
            self._logged = True
            log.warning("%s", what, exc_info=bug)


def png(image: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The bytes of a PNG, uint8 (n,)."""
    _, coded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return np.asarray(coded, np.uint8).reshape(-1)


def scaled_map(anomaly_map: AnomalyMap) -> NDArray[np.uint16]:
    """A map as it is kept: uint16 (height, width), raw / (raw + threshold) of 65535, so that 32768 is the threshold."""
    raw = np.maximum(anomaly_map.values, 0)
    return np.asarray(raw / (raw + anomaly_map.threshold) * 65535 + 0.5, np.uint16)
