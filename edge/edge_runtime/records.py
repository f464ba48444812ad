"""The records that flow through the device: Frame -> Inspection -> Verdict.

A Frame was captured; an Inspection was measured on it and decides nothing; a Verdict is decided, numbered and final.

    frame = Frame("cam0", 7, captured_ns, image)
    inspection = Inspection(score, anomaly_map)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

import numpy as np
from numpy.typing import NDArray


class Outcome(IntEnum):
    """The verdict byte of the binary record. NONE is what a zeroed buffer reads as."""

    NONE = 0
    OK = 1
    NOK = 2
    ERROR = 3


class ErrorCode(IntEnum):
    """Why a verdict is ERROR or a state is a fault. Three digits in the ASCII record.

    docs/reference/mqtt.md lists them.
    """

    NONE = 0
    # 1xx: the frame
    FRAME_MISSING = 101
    FRAME_UNREADABLE = 102
    FRAME_WRONG_FORMAT = 103
    FRAME_BLACK = 104
    FRAME_SATURATED = 105
    FRAME_SHORT = 106
    FRAME_STALE = 107
    FRAME_FROZEN = 108
    FRAME_OUT_OF_FOCUS = 109
    FRAME_WRONG_SIZE = 110
    PART_NOT_FOUND = 111
    PART_OUT_OF_PLACE = 112
    # 2xx: the measurement
    ENGINE_FAILED = 201
    SCORE_NOT_FINITE = 202
    SELF_TEST_FAILED = 203
    JUDGING_FAILED = 204
    ENGINE_HUNG = 205
    # 3xx: the station
    DEADLINE_MISSED = 301
    INTERRUPTED = 302
    STORAGE_FAILED = 303
    SPOOL_OVERFULL = 304
    NOT_DELIVERED = 305


class Precision(str, Enum):
    """The number format of a graph's heavy layers."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


@dataclass(frozen=True)
class PictureFile:
    """A file whose picture must be judged once, restarts included: its name, and what tells it from another so named.

    key is the name's bytes, for a name need not be valid text.
    """

    key: bytes
    identity: str


@dataclass(frozen=True)
class Frame:
    """One picture from a source. `image` is uint8 BGR (height, width, 3); `captured_ns` is time.monotonic_ns().

    sequence counts what the source delivers or should have delivered: a number that is left out is a lost frame.
    """

    camera: str
    sequence: int
    captured_ns: int
    image: NDArray[np.uint8]
    name: str = ""  # the file that it came from, relative to its source; of a camera SERIAL#NUMBER, if it has both
    camera_ns: int = 0  # the camera's own time stamp; 0 when it has none
    file: PictureFile | None = None  # goes to the disk with the verdict


@dataclass(frozen=True)
class FailedFrame:
    """A picture that a source should have delivered and could not. It becomes an ERROR verdict, never silence."""

    name: str
    captured_ns: int
    error: ErrorCode
    detail: str
    sequence: int = 0  # as Frame.sequence; 0 when the source does not know
    file: PictureFile | None = None  # as Frame.file


@dataclass(frozen=True)
class FrameMeasurement:
    """What a frame looks like.

    brightness: the grey value (0 to 255) that 1 % of the pixels exceed. saturated: the share of channel values that are
    nearly white. sharpness: how much neighbouring pixels differ beside those further apart, 1/16 for what is fully
    blurred (inspection/frame_checks.py); None: there is too little contrast to measure it.
    """

    height: int
    width: int
    brightness: float
    saturated: float
    sharpness: float | None


@dataclass(frozen=True)
class FrameFault:
    """Why a frame must not be judged; it becomes an ERROR verdict. detail: what was found and what to do."""

    error: ErrorCode
    detail: str


@dataclass(frozen=True)
class NoFrame:
    """No frame came within the time that the caller gave. One may come later."""


@dataclass(frozen=True)
class Inspection:
    """What the detector measured: a raw score, and a raw float32 map (height, width) at the model's input size."""

    score: float
    anomaly_map: NDArray[np.float32]


@dataclass(frozen=True)
class AnomalyMap:
    """A detector's raw float32 map (height, width), and the raw threshold of its values."""

    values: NDArray[np.float32]
    threshold: float

    @property
    def region_level(self) -> float:
        """Above which value the regions of a NOK lie: the threshold, or 90 % of the map's peak where that is less.

        A NOK whose map stays below its threshold still has a place to look at.
        """
        return min(self.threshold, 0.9 * float(self.values.max()))


@dataclass(frozen=True)
class PartPlace:
    """Where a part was found: x, y in pixels of the frame, its angle, and the match with good parts, -1 to 1."""

    x: float
    y: float
    degrees: float
    quality: float


@dataclass(frozen=True)
class Region:
    """A connected area of the map above its threshold: box and area in pixels of the frame, peak as a scaled score."""

    x: int
    y: int
    width: int
    height: int
    area: int
    peak: float


@dataclass(frozen=True)
class Timings:
    """Where a picture's time went, in microseconds. Capture counts from Frame.captured_ns to having the frame in hand,
    publish from the end of the commit to the JSON line, which is the last of the three records.

    What commit and publish took is known only after what was committed: it is in the live `/verdict/json`, and 0 in
    the spool.
    """

    capture_us: int = 0
    prepare_us: int = 0
    infer_us: int = 0
    decide_us: int = 0
    commit_us: int = 0
    publish_us: int = 0


@dataclass(frozen=True)
class Decision:
    """OK, NOK or ERROR, with its reason. Scores are scaled (the threshold is 0.5); raw ones are the graph's own."""

    outcome: Outcome
    error: ErrorCode = ErrorCode.NONE
    score: float = 0.0
    threshold: float = 0.5
    raw_score: float = 0.0
    raw_threshold: float = 0.0
    regions: tuple[Region, ...] = ()
    timings: Timings = Timings()
    detail: str = ""  # for people: what was found and what to do; never decides anything
    anomaly_map: AnomalyMap | None = field(default=None, compare=False, repr=False)  # for the evidence; not kept
    place: PartPlace | None = field(default=None, compare=False, repr=False)  # for watching the camera; not kept
    measurement: FrameMeasurement | None = field(default=None, compare=False, repr=False)  # likewise


class Flag(IntEnum):
    """Bits of a verdict's flags byte."""

    LATE = 1
    REPLAY = 2
    SIMULATED = 4
    SHADOW = 8
    GOLDEN = 16
    DEGRADED = 32
    UNSYNCED = 64


@dataclass(frozen=True)
class Verdict:
    """A decision with its number: committed to disk once, published as often as needed, never changed.

    seq is unique for the station's life. unix_ms is UTC. recipe, trigger_id and part_id come from the trigger; without
    a trigger, trigger_id is 0. latency_us ends before the commit. boot_id counts the starts of the station.
    """

    seq: int
    decision: Decision
    bundle: str  # its name
    bundle_version: str
    unix_ms: int
    boot_id: int
    latency_us: int = 0
    trigger_id: int = 0
    recipe: int = 0
    part_id: str = ""
    flags: int = 0
    source: str = ""  # Frame.name
    picture: str = ""  # SHA-256 of the frame's pixels in hex, when it is kept: see image_archive.py
