"""An engine whose measurements are known, and a dataset for it: the score is the picture's brightest pixel."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.data.dataset import scan_dataset
from edge_build.evaluation.evaluate import evaluate
from edge_build.evaluation.result import Evaluation
from edge_build.progress import SilentProgress
from edge_runtime.bundle.manifest import Threshold
from edge_runtime.imaging.see import whole_frame_viewer
from edge_runtime.inspection.judge import Judge
from edge_runtime.records import Inspection

SIZE = 32
THRESHOLD = Threshold(
    score=150,
    score_low=140,
    score_high=None,
    map=150,
    false_reject_rate=0.01,
    false_reject_rate_guaranteed=0.05,
    false_reject_rate_low=0.001,
    false_reject_rate_high=0.2,
    pictures=19,
    method="cross-fitted",
)


class BrightestPixel:
    """An engine: the map is the blue channel times `gain`, the score its maximum."""

    name = "brightest pixel"

    def __init__(self, gain: float = 1.0) -> None:
        self.gain, self.calls, self.open = gain, 0, True

    def infer(self, image: NDArray[np.uint8]) -> Inspection:
        self.calls += 1
        anomaly_map = image[0, :, :, 0].astype(np.float32) * np.float32(self.gain)
        return Inspection(float(anomaly_map.max()), anomaly_map)

    def __enter__(self) -> BrightestPixel:
        return self

    def __exit__(self, *error: object) -> None:
        self.open = False


def write(path: Path, brightest: int, spot: tuple[int, int] = (10, 10), ground: int = 20) -> None:
    """A picture with a spot of 4 x 4 pixels; its last pixel makes files differ without changing a score."""
    image = np.full((SIZE, SIZE, 3), ground, np.uint8)
    image[spot[0] : spot[0] + 4, spot[1] : spot[1] + 4] = brightest
    image[-1, -1] = sum(path.as_posix().encode()) % 19
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def write_dataset(root: Path) -> Path:
    """Good: 100, 120, 160 (a false reject). Scratches: 200, 140 (missed). One dent: 180."""
    for index, value in enumerate((90, 95, 100, 105)):
        write(root / "train" / "good" / f"{index}.png", value)
    for index, value in enumerate((101, 120, 160)):
        write(root / "test" / "good" / f"{index}.png", value)
    for kind, index, value in (("scratch", 0, 200), ("scratch", 1, 140), ("dent", 0, 180)):
        write(root / "test" / kind / f"{index}.png", value)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[10:14, 10:14] = 255
        path = root / "ground_truth" / kind / f"{index}_mask.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), mask)
    return root


def blackened(root: Path, *kinds: str) -> Evaluation:
    """All test pictures of these kinds are black, each in its own way."""
    for number, path in enumerate(path for kind in kinds for path in sorted((root / "test" / kind).iterdir())):
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        image[0, number] = 1
        cv2.imwrite(str(path), image)
    return evaluate(
        Judge(BrightestPixel(), THRESHOLD, whole_frame_viewer(SIZE, SIZE)), scan_dataset(root).test, SilentProgress()
    )


def evaluation_of(root: Path) -> Evaluation:
    """All test pictures, measured."""
    return evaluate(
        Judge(BrightestPixel(), THRESHOLD, whole_frame_viewer(SIZE, SIZE)), scan_dataset(root).test, SilentProgress()
    )
