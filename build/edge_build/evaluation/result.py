"""What measuring a detector on pictures gave, and the file that other programs read it from.

save_scores(Path("scores.npz"), evaluation, dataset_root)
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.data.pictures import GOOD, Picture
from edge_build.detection_metrics import Metrics, measure
from edge_runtime.bundle.manifest import Threshold
from edge_runtime.errors import EdgeError
from edge_runtime.files import Durability, storage_errors, write_file
from edge_runtime.records import FrameFault, Outcome


@dataclass(frozen=True)
class Evaluation:
    """What an engine measured and a threshold decided, picture by picture.

    scores: float64 (pictures,), raw. maps: float32 (pictures, height, width) of the whole frame, about as many
    pixels as the model's picture has, raw; 0 where it does not reach. masks: for every
    picture bool (height, width), true on its defects, or None. latencies_ms: float64 (pictures,), preprocess and infer.
    A picture beyond the limits of frames (black, saturated, of another size) has outcome ERROR and its fault, as on the
    line, where it is not judged; it is still measured.
    """

    pictures: tuple[Picture, ...]
    scores: NDArray[np.float64]
    maps: NDArray[np.float32]
    masks: tuple[NDArray[np.bool_] | None, ...]
    latencies_ms: NDArray[np.float64]
    outcomes: tuple[Outcome, ...]
    faults: tuple[FrameFault | None, ...]
    threshold: Threshold
    engine: str

    @property
    def defect(self) -> NDArray[np.bool_]:
        """True where a picture shows a defect: bool (pictures,)."""
        return np.array([picture.label != GOOD for picture in self.pictures], dtype=bool)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """True where a line would judge the picture, and not answer ERROR: bool (pictures,)."""
        return np.array([outcome is not Outcome.ERROR for outcome in self.outcomes], dtype=bool)

    def metrics(self) -> Metrics:
        """The metrics of all pictures, judged or not, from the float32 maps."""
        return measure(self.scores, self.defect, self.maps, self.masks)


def save_scores(path: Path, evaluation: Evaluation, root: Path) -> None:
    """Write an .npz for other programs: `path` (relative to the dataset's root), `label`, `score` and `map`.

    Scores are float64 (n,); maps float16 (n, height, width), so rounded to 11 significant bits: metrics that are
    computed from the file differ in the fourth digit from those of the float32 maps. Nothing is pickled.
    Raises EdgeError when a map does not fit into float16, StorageError when the file cannot be written.
    """
    largest = float(np.finfo(np.float16).max)
    if evaluation.maps.size and float(np.abs(evaluation.maps).max()) > largest:
        raise EdgeError(
            f"{path} is not written: a map reaches {float(np.abs(evaluation.maps).max()):.6g}, and float16 ends at "
            f"{largest:.0f}; a detector with such scores needs its output scaled"
        )
    buffer = io.BytesIO()
    np.savez(
        buffer,
        path=np.array([name_in(root, picture) for picture in evaluation.pictures], dtype=np.str_),
        label=np.array([picture.label for picture in evaluation.pictures], dtype=np.str_),
        score=evaluation.scores,
        map=evaluation.maps.astype(np.float16),
    )
    with storage_errors(path):
        write_file(path, buffer.getvalue(), Durability.ATOMIC)


def name_in(root: Path, picture: Picture) -> str:
    """A picture's path below the dataset's root, with forward slashes; its full path when it is elsewhere."""
    return (picture.path.relative_to(root) if picture.path.is_relative_to(root) else picture.path).as_posix()
