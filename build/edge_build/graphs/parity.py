"""The proof that what was exported scores as what was trained, on the pictures that become golden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_runtime.bundle.manifest import Threshold
from edge_runtime.engines.protocol import Engine
from edge_runtime.errors import EngineError
from edge_runtime.records import Inspection

# Shares of the threshold. Float32 sums in another order differ by about 1e-5 in the score. Where a patch is a copy of a
# bank entry the square root turns the rounding of a squared distance of zero into 1e-3 of the map's threshold.
SCORE_TOLERANCE, MAP_TOLERANCE = 1e-3, 5e-3


@dataclass(frozen=True)
class Parity:
    """How far the engine was from torch at most on the golden pictures, as a share of the threshold's values."""

    pictures: int
    score: float
    map: float


def golden_pictures(calibration: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """`count` pictures spread over the calibration pictures (n, H, W, 3), and one of them as a negative.

    The negative looks like no good part, so that a self-test also sees a score far above the threshold.
    """
    spread = np.unique(np.linspace(0, len(calibration) - 1, count).round().astype(int))
    return np.concatenate([calibration[spread], 255 - calibration[:1]])


def prove_parity(
    detector: nn.Module, engine: Engine, pictures: NDArray[np.uint8], threshold: Threshold
) -> tuple[Parity, list[Inspection]]:
    """Compare torch and the engine on uint8 pictures (n, H, W, 3). Returns the proof and the engine's measurements.

    Raises EngineError when a score or a map differs by more than its tolerance: such a graph must not be bundled.
    """
    measured: list[Inspection] = []
    worst_score = worst_map = 0.0
    for picture in pictures:
        with torch.inference_mode():
            score, anomaly_map = detector(torch.from_numpy(picture[None]))
        found = engine.infer(picture[None])
        measured.append(found)
        worst_score = _worst(worst_score, abs(found.score - float(score[0])) / threshold.score)
        difference = np.abs(found.anomaly_map - anomaly_map[0].numpy())
        worst_map = _worst(worst_map, float(difference.max()) / threshold.map)
    if not (worst_score <= SCORE_TOLERANCE and worst_map <= MAP_TOLERANCE):
        raise EngineError(
            f"the exported graph scores differently from the trained detector: by {worst_score:.2%} of the threshold "
            f"in the score and {worst_map:.2%} in the map, {SCORE_TOLERANCE:.2%} and {MAP_TOLERANCE:.2%} are allowed; "
            "no bundle was written. "
            f"This is a fault of {engine.name} or of the export: try another version of onnxruntime and report it"
        )
    return Parity(len(pictures), worst_score, worst_map), measured


def _worst(worst: float, found: float) -> float:
    """The larger of two; NaN counts as infinite."""
    return max(worst, found if np.isfinite(found) else np.inf)
