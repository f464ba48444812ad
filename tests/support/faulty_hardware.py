"""A camera and an engine that fail on demand, for tests and benchmarks; no station can be configured to use them.

    python tests/support/faulty_hardware.py STATION.yaml FAULT_FILE [--once] [--verbose]

runs the real daemon with both. The file holds one word, read again for each frame: whoever writes it before a trigger
decides what happens to that part, also across a restart of the daemon. No file, or an empty one: nothing fails.

    lost        the camera delivers nothing (NoFrame)         stuck         the camera's driver does not come back
    unreadable  the frame is damaged                        short         half of the frame arrived
    black, white, hot (black with hot pixels), blurred      wrong-size, wrong-format
    frozen      the same picture again                      same-stamp    another picture with the old camera's stamp
    stale       the frame was taken before its trigger      skip          the camera counts a frame that never comes
    hang        the engine never comes back                 slow:MS       the engine takes that long
    fail        the engine raises EngineError               crash         the engine raises something else
    nan, inf    the score is no number                      nan-map       one pixel of the map is no number

All pictures come from the station's own source; a fault is put on top.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from edge_runtime.daemon.hardware import Hardware, open_engine, open_station_source
from edge_runtime.errors import EngineError
from edge_runtime.records import ErrorCode, FailedFrame, Frame, Inspection, NoFrame

FOREVER_S = 3600


class Faults:
    """What is to fail now."""

    def __init__(self, path: Path):
        self._path = path

    @property
    def word(self) -> str:
        try:
            return self._path.read_text().strip()
        except FileNotFoundError:
            return ""


class FaultySource:
    """The station's source with faults on top. Frames carry a camera's stamp, as those of a real camera do."""

    simulated = False  # it stands for a camera

    def __init__(self, source, faults: Faults):
        self._source, self._faults = source, faults
        self._last = None
        self._skipped = 0

    def next_frame(self, wait_s):
        word = self._faults.word
        if word == "lost":
            time.sleep(wait_s)
            return NoFrame()
        if word == "stuck":
            time.sleep(FOREVER_S)
        if word == "frozen" and self._last is not None:
            self._last = replace(self._last, captured_ns=time.monotonic_ns(), camera_ns=self._last.camera_ns + 1)
            return self._last
        frame = self._source.next_frame(wait_s)
        if not isinstance(frame, Frame):
            return frame
        if word == "skip":
            self._skipped += 1
        frame = replace(frame, sequence=frame.sequence + self._skipped, camera_ns=time.time_ns())
        if word == "unreadable":
            return FailedFrame(frame.name, frame.captured_ns, ErrorCode.FRAME_UNREADABLE, "damaged", frame.sequence)
        if word == "short":
            return FailedFrame(frame.name, frame.captured_ns, ErrorCode.FRAME_SHORT, "half of it", frame.sequence)
        if word == "stale":
            frame = replace(frame, captured_ns=frame.captured_ns - 3_600_000_000_000)
        if word == "same-stamp" and self._last is not None:
            frame = replace(frame, camera_ns=self._last.camera_ns)
        self._last = replace(frame, image=faulty_picture(frame.image, word))
        return self._last

    def problem(self):
        return None

    def resume(self, judged):
        self._source.resume(judged)

    def committed(self, file):
        self._source.committed(file)

    def __enter__(self):
        self._source.__enter__()
        return self

    def __exit__(self, *error):
        self._source.__exit__(*error)


def faulty_picture(image, word: str):
    """uint8 BGR (h, w, 3) with a fault that is visible in the pixels, or as it was."""
    noise = np.random.default_rng(image.size).integers(0, 3, image.shape, dtype=np.uint8)
    if word == "black":
        return noise
    if word == "hot":  # a dark frame whose sensor has defects
        places = np.random.default_rng(1).integers(0, image.shape[0] * image.shape[1], 20)
        noise.reshape(-1, 3)[places] = 255
        return noise
    if word == "white":
        return 255 - noise
    if word == "blurred":
        return cv2.GaussianBlur(image, (0, 0), image.shape[0] / 60)
    if word == "wrong-size":
        return np.ascontiguousarray(image[: image.shape[0] // 2])
    if word == "wrong-format":
        return image[..., 0].astype(np.uint16) * 16
    return image


class FaultyEngine:
    """The station's engine with faults on top; the self-test passes unhindered until the first frame was judged."""

    def __init__(self, engine, faults: Faults, references: int):
        self._engine, self._faults, self._to_pass = engine, faults, references
        self.name = engine.name

    def infer(self, image):
        if self._to_pass > 0:
            self._to_pass -= 1
            return self._engine.infer(image)
        word = self._faults.word
        if word == "hang":
            time.sleep(FOREVER_S)
        if word.startswith("slow:"):
            time.sleep(int(word.partition(":")[2]) / 1000)
        if word == "fail":
            raise EngineError("the engine was made to fail")
        if word == "crash":
            raise ZeroDivisionError("the engine was made to crash")
        found = self._engine.infer(image)
        if word in ("nan", "inf"):
            return Inspection(float(word), found.anomaly_map)
        if word == "nan-map":
            found.anomaly_map[0, 0] = np.nan
        return found

    def __enter__(self):
        self._engine.__enter__()
        return self

    def __exit__(self, *error):
        self._engine.__exit__(*error)


def faulty_hardware(faults: Faults) -> Hardware:
    """What `serve` opens instead of the real things."""
    return Hardware(
        open_engine=lambda station, bundle: FaultyEngine(
            open_engine(station, bundle), faults, len(bundle.manifest.golden)
        ),
        open_source=lambda station: FaultySource(open_station_source(station), faults),
    )


def main() -> None:
    from edge_runtime.commands.run import run_daemon
    from edge_runtime.errors import EdgeError

    station, faults, *options = sys.argv[1:]
    try:
        run_daemon(Path(station), "--once" in options, "--verbose" in options, faulty_hardware(Faults(Path(faults))))
    except EdgeError as error:
        print(f"edge-daemon: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
