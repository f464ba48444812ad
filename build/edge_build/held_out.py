"""Scores of good pictures by detectors that did not learn from them: what the threshold is set on.

Every fold's pictures go through an exported graph in the engine that serves, not through torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_build.dataset import Picture
from edge_build.progress import Progress
from edge_build.splits import Splits
from edge_runtime.onnxruntime_engine import OnnxruntimeEngine


@dataclass(frozen=True)
class HeldOut:
    """Raw scores and the maxima of the raw maps, float64 (n,), fold after fold."""

    scores: NDArray[np.float64]
    maxima: NDArray[np.float64]


def score_held_out(
    splits: Splits,
    graph_without: Callable[[int], bytes],
    prepared: Callable[[Sequence[Picture]], NDArray[np.uint8]],
    progress: Progress,
) -> HeldOut:
    """Measure every fold with the graph that learned without it.

    graph_without: the serialised graph for a fold. prepared: pictures at the model's size, uint8 (n, H, W, 3).
    """
    scores: list[float] = []
    maxima: list[float] = []
    for number, fold in enumerate(splits.folds):
        with OnnxruntimeEngine(graph_without(number)) as engine:
            for picture in progress.track(f"held-out scores {number + 1}/{len(splits.folds)}", list(prepared(fold))):
                inspection = engine.infer(picture[None])
                scores.append(inspection.score)
                maxima.append(float(inspection.anomaly_map.max()))
    return HeldOut(np.array(scores), np.array(maxima))
