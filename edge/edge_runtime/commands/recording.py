"""A folder of recorded pictures: what is kept, what is passed over, and what is reported of each. No camera, no
terminal.

Rules:
- A picture is kept as PNG without loss: its pixels are those of the live frame. Beside it lies NUMBER.json with time,
  exposure and what was measured.
- One that is kept already, as far as anybody could tell, is passed over; so is a frame that could not be judged at all.
- Blur and clipping are warned of, measured against the pictures before.
- A recording is resumed by beginning it again: what lies in the folder counts.

recording = Recording(Path("pictures/good"), source="aravis://EDGE1")
kept = recording.offer(frame, camera="Basler ...")
"""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle.manifest import FrameLimits
from edge_runtime.commands.variety import Variety, describe
from edge_runtime.errors import StorageError
from edge_runtime.files import Durability, remove_unfinished, write_file
from edge_runtime.imaging.reader import read_picture
from edge_runtime.inspection.frame_checks import BLURRED, measure_frame, measurement_fault
from edge_runtime.records import FailedFrame, Frame, FrameMeasurement

NUMBERED = re.compile(r"(\d{4,})\.png")
SOFT = 0.6  # of the usual sharpness; less is blurred for this camera and part
CLIPPED = 0.01  # of the pixels more than usual are white
USUAL_FROM = 5  # pictures


class Fate(Enum):
    """What became of a frame."""

    KEPT = "kept"
    ALIKE = "like one that is kept already"
    UNFIT = "not kept"


@dataclass(frozen=True)
class Offered:
    """What became of a frame, and what to report of it."""

    fate: Fate
    name: str = ""
    warnings: tuple[str, ...] = ()


class Recording:
    """See the module. Raises StorageError when the folder cannot be used, PictureError for a damaged picture in it."""

    def __init__(self, folder: Path, source: str, limits: FrameLimits) -> None:
        self._folder, self._source, self._limits = folder, source, limits
        self._variety = Variety()
        self._looks: list[FrameMeasurement] = []
        self.alike = self.unfit = self.doubtful = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            remove_unfinished(folder)
            earlier = sorted((int(found[1]), path) for path in folder.iterdir() if (found := _number(path)))
        except OSError as error:
            raise StorageError(f"{folder} cannot be used: {error.strerror}; check the path and the rights") from error
        self._next = 1 + max((number for number, _ in earlier), default=0)
        for _, path in earlier:
            image = read_picture(path)
            self._remember(image, measure_frame(image))

    @property
    def kept(self) -> int:
        """How many pictures are in the folder."""
        return len(self._looks)

    def is_enough(self) -> bool:
        """Whether the newest pictures add nothing that the earlier ones do not show: see variety.py."""
        return self._variety.is_enough()

    def offer(self, frame: Frame | FailedFrame, camera: str) -> Offered:
        """Keep a frame, or not. camera: what the camera says of itself now."""
        if isinstance(frame, FailedFrame):
            self.unfit += 1
            return Offered(Fate.UNFIT, warnings=(frame.detail,))
        look = measure_frame(frame.image)
        fault = measurement_fault(look, self._limits)
        if fault is not None:
            self.unfit += 1
            return Offered(Fate.UNFIT, warnings=(fault.detail,))
        if self._variety.is_alike(describe(frame.image)):
            self.alike += 1
            return Offered(Fate.ALIKE)
        warnings = tuple(self._doubts(look))
        name = f"{self._next:04d}.png"
        self._write(name, frame, look, camera, warnings)
        self._next += 1
        self.doubtful += bool(warnings)
        self._remember(frame.image, look)
        return Offered(Fate.KEPT, name, warnings)

    def _remember(self, image: NDArray[np.uint8], look: FrameMeasurement) -> None:
        self._variety.add(describe(image))
        self._looks.append(look)

    def _doubts(self, look: FrameMeasurement) -> list[str]:
        """Blur and clipping, against what is usual here."""
        usual = self._looks if len(self._looks) >= USUAL_FROM else []
        doubts = []
        sharp = [one.sharpness for one in usual if one.sharpness is not None]
        least = SOFT * statistics.median(sharp) if sharp else BLURRED
        if look.sharpness is not None and look.sharpness < least:
            doubts.append(f"blurred: sharpness {look.sharpness:.3f}, usual is {least / SOFT if sharp else least:.3f}")
        white = statistics.median([one.saturated for one in usual]) if usual else 0.0
        if look.saturated > white + CLIPPED:
            doubts.append(f"clipped: {look.saturated:.1%} of the pixels are white: shorten the exposure")
        return doubts

    def _write(self, name: str, frame: Frame, look: FrameMeasurement, camera: str, warnings: tuple[str, ...]) -> None:
        about = {
            "source": self._source,
            "camera": camera,
            "frame": frame.name,
            "taken": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "camera_ns": frame.camera_ns,
            "width": look.width,
            "height": look.height,
            "brightness": look.brightness,
            "saturated": round(look.saturated, 6),
            "sharpness": None if look.sharpness is None else round(look.sharpness, 4),
            "warnings": list(warnings),
        }
        path = self._folder / name
        try:
            # The sidecar first: a picture without one would be another's with its time.
            write_file(path.with_suffix(".json"), f"{json.dumps(about, indent=1)}\n".encode(), Durability.ATOMIC)
            write_file(path, png_bytes(frame.image), Durability.SYNCED)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}; make room, or check the rights") from error


def png_bytes(image: NDArray[np.uint8]) -> bytes:
    """A picture as PNG, without loss; one channel where all three are equal, which the reader makes three again."""
    grey = image[..., 0]
    is_grey = np.array_equal(grey, image[..., 1]) and np.array_equal(grey, image[..., 2])
    _, coded = cv2.imencode(".png", grey if is_grey else image, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return coded.tobytes()


def _number(path: Path) -> re.Match[str] | None:
    return NUMBERED.fullmatch(path.name)
