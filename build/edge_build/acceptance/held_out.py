"""What detectors measure on pictures that they did not learn from: the ground for thresholds and for the gate.

Every fold's good pictures go through exported graphs in the engine that serves, not through torch; each precision's
scores come from its own graph. Some pictures are seen once more with defects made up on them.

    held_out = score_held_out(splits, graphs_without, prepared.of, seed, progress)
    held_out[Precision.INT8].scores
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge_build.acceptance.learning_curve import Correction
from edge_build.data.pictures import Picture
from edge_build.data.splits import Splits
from edge_build.detectors.defects.synthetic import with_defect
from edge_build.graphs.emulated_engine import emulated_engine
from edge_build.progress import Progress
from edge_runtime.engines.protocol import Engine
from edge_runtime.records import Inspection, Precision

GATE_GOOD, GATE_DEFECT = 200, 200  # about so many pictures are compared; below 201, no verdict may change at all
MOST_DEFECTS = 4  # of one good picture
HIGHEST = 6  # scores whose pictures the report shows
GATE_STEP = 2  # the maps are smooth: every second pixel along both axes tells as much

Graphs = Mapping[Precision, bytes]


@dataclass(frozen=True)
class HighScore:
    """A held-out good picture that looks bad. anomaly_map: float32 (h, w), every second pixel."""

    picture: Picture
    score: float
    anomaly_map: NDArray[np.float32]

    def corrected(self, factor: Correction) -> HighScore:
        """As the detector that serves would have measured it."""
        return HighScore(self.picture, self.score * factor.scores, self.anomaly_map * np.float32(factor.maxima))


@dataclass(frozen=True)
class HeldOut:
    """What one precision measured. scores, maxima: of all held-out good pictures, float64 (n,), fold after fold, raw.

    trial_scores, trial_maps: of the pictures that precisions are compared on, (t,) and (t, h, w), every second pixel.
    masks: where their made-up defects are, (t, h, w); empty for a good one. highest: the pictures with the highest of
    the scores, the highest first.
    """

    scores: NDArray[np.float64]
    maxima: NDArray[np.float64]
    trial_scores: NDArray[np.float64]
    trial_maps: NDArray[np.float32]
    masks: NDArray[np.bool_]
    highest: tuple[HighScore, ...] = ()

    @property
    def defect(self) -> NDArray[np.bool_]:
        """Which of the compared pictures have a defect, (t,)."""
        return np.asarray(self.masks.any((1, 2)))

    def corrected(self, factor: Correction) -> HeldOut:
        """As the detector that serves would have measured it."""
        return replace(
            self,
            scores=self.scores * factor.scores,
            maxima=self.maxima * factor.maxima,
            trial_scores=self.trial_scores * factor.scores,
            trial_maps=self.trial_maps * np.float32(factor.maxima),
            highest=tuple(high.corrected(factor) for high in self.highest),
        )


def score_held_out(
    splits: Splits,
    graphs_without: Callable[[int], Graphs],
    prepared: Callable[[Sequence[Picture]], NDArray[np.uint8]],
    seed: int,
    progress: Progress,
    what: str = "held-out scores",
    judged: NDArray[np.bool_] | None = None,
) -> dict[Precision, HeldOut]:
    """Measure every fold with the graphs that learned without it, the same precisions for every fold.

    graphs_without: the serialised graphs for a fold. prepared: pictures at the model's size, uint8 (n, H, W, 3). what:
    is done, for the progress. judged: where defects may be made up, (H, W); None for anywhere.
    """
    comparison = Comparison(sum(len(fold) for fold in splits.folds), seed, judged)
    found: dict[Precision, _Collected] = {}
    for number, fold in enumerate(splits.folds):
        graphs = graphs_without(number)
        if not found:
            found = {precision: _Collected() for precision in graphs}
        with ExitStack() as stack:
            engines = {p: stack.enter_context(emulated_engine(graph, spinning=False)) for p, graph in graphs.items()}
            step = f"{what} {number + 1}/{len(splits.folds)}"
            images = prepared(fold)
            for picture, image in zip(progress.track(step, fold), images, strict=True):
                comparison.measure(picture, image, engines, found)
    return {precision: collected.whole() for precision, collected in found.items()}


class Comparison:
    """Which of so many good pictures precisions are compared on, and with what defects. One precision: none."""

    def __init__(self, good: int, seed: int, judged: NDArray[np.bool_] | None = None) -> None:
        """judged: where defects may be, (H, W); None for anywhere."""
        self._judged = judged
        self._compared = set(np.unique(np.linspace(0, good - 1, min(good, GATE_GOOD)).round().astype(int)).tolist())
        self._copies = min(MOST_DEFECTS, -(-GATE_DEFECT // len(self._compared)))
        self._random = np.random.default_rng(seed)
        self._next = 0

    def measure(
        self,
        picture: Picture,
        image: NDArray[np.uint8],
        engines: Mapping[Precision, Engine],
        found: Mapping[Precision, _Collected],
    ) -> None:
        """Measure the next good picture, prepared (H, W, 3), and what is made of it, with all engines."""
        good = np.zeros(image.shape[:2], np.bool_)
        compared = self._next in self._compared and len(engines) > 1
        self._next += 1
        for precision, engine in engines.items():
            inspection = engine.infer(image[None])
            found[precision].take(picture, inspection)
            if compared:
                found[precision].add(inspection, good)
        for made_up, mask in self._defects(image) if compared else ():
            for precision, engine in engines.items():
                found[precision].add(engine.infer(made_up[None]), mask)

    def _defects(self, picture: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
        for _ in range(self._copies):
            image, mask = with_defect(picture, self._judged, (), self._random)
            if mask[::GATE_STEP, ::GATE_STEP].any():
                yield image, mask


@dataclass
class _Collected:
    scores: list[float] = field(default_factory=list)
    maxima: list[float] = field(default_factory=list)
    trial_scores: list[float] = field(default_factory=list)
    trial_maps: list[NDArray[np.float32]] = field(default_factory=list)
    masks: list[NDArray[np.bool_]] = field(default_factory=list)
    highest: list[HighScore] = field(default_factory=list)

    def take(self, picture: Picture, inspection: Inspection) -> None:
        self.scores.append(inspection.score)
        self.maxima.append(float(inspection.anomaly_map.max()))
        self.highest.append(HighScore(picture, inspection.score, _small(inspection)))
        self.highest = sorted(self.highest, key=lambda high: -high.score)[:HIGHEST]

    def add(self, inspection: Inspection, mask: NDArray[np.bool_]) -> None:
        self.trial_scores.append(inspection.score)
        self.trial_maps.append(_small(inspection))
        self.masks.append(mask[::GATE_STEP, ::GATE_STEP])

    def whole(self) -> HeldOut:
        maps = np.stack(self.trial_maps) if self.trial_maps else np.zeros((0, 1, 1), np.float32)
        masks = np.stack(self.masks) if self.masks else np.zeros((0, 1, 1), np.bool_)
        return HeldOut(
            np.array(self.scores), np.array(self.maxima), np.array(self.trial_scores), maps, masks, tuple(self.highest)
        )


def _small(inspection: Inspection) -> NDArray[np.float32]:
    return np.array(inspection.anomaly_map[::GATE_STEP, ::GATE_STEP], np.float32)
