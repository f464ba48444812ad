"""FP16 and INT8 beside FP32, made from its graph; `judgement.py` finds out whether they keep the verdicts.

maker = PrecisionMaker(recipe.precisions, recipe.calibration, graph, candidates, seed, progress)
maker.graphs(graph)  # the same precisions of any fold's graph
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_build.detectors.defects.synthetic import with_defect
from edge_build.progress import Progress
from edge_build.recipe.recipe import CalibrationSettings, PrecisionName
from edge_calibration.activation_ranges import Statistics
from edge_calibration.int8_plan import Int8Plan
from edge_calibration.int8_search import fits, fp16_graph, int8_graph, plan_int8, replan
from edge_calibration.lighting import varied
from edge_calibration.picture_selection import descriptors, spread
from edge_calibration.quantisable_network import network_of
from edge_runtime.bundle.manifest import Gate, Record
from edge_runtime.records import Precision

REHEARSED = 2  # good pictures that the plan's errors are measured on, and as many with a made-up defect
TRIES = 20  # of the making-up
WHAT_TO_TRY = {
    Precision.FP16: "use fp32, or collect more good pictures, which make a threshold steadier",
    Precision.INT8: "more good pictures, which make a threshold steadier, a new build with a lower calibration.budget "
    "(more layers stay in FP16) or more calibration.pictures in its recipe, or fp16",
}


class GateResult(Record):
    """How a precision did at the gate. failures: empty when it got into the bundle."""

    gate: Gate
    failures: tuple[str, ...]


class PrecisionMaker:
    """Makes the recipe's precisions of a detector's graph, and of those of its folds, in the same way.

    calibrated_on: row numbers among the candidates. plan, statistics: None without INT8.
    """

    def __init__(
        self,
        wanted: Sequence[PrecisionName],
        settings: CalibrationSettings,
        graph: bytes,
        candidates: NDArray[np.uint8],
        seed: int,
        progress: Progress,
    ) -> None:
        """graph: the FP32 graph that serves. candidates: pictures (n, H, W, 3) that no threshold is set on."""
        self.wanted, self._seed = tuple(Precision(name) for name in wanted), seed
        self.calibrated_on: list[int] = []
        self.plan: Int8Plan | None = None
        self.statistics: dict[str, Statistics] = {}
        if Precision.INT8 in self.wanted:
            model = onnx.load_from_string(graph)
            self.calibrated_on = spread(descriptors(model, network_of(model), candidates), settings.pictures)
            chosen = candidates[self.calibrated_on]
            self._calibration = list(varied(chosen, settings.exposure, settings.lighting))
            rehearsal = rehearsal_pictures(chosen, seed)
            self.plan, self.statistics = plan_int8(model, self._calibration, rehearsal, settings.budget, seed, progress)

    def graphs(self, graph: bytes) -> dict[Precision, bytes]:
        """An FP32 graph in every precision that was asked for and can be made, FP32 first."""
        made = {Precision.FP32: graph}
        model = onnx.load_from_string(graph) if len(self.wanted) > 1 else None
        if model is not None and Precision.FP16 in self.wanted:
            made[Precision.FP16] = fp16_graph(model).SerializeToString()
        if model is not None and self.plan is not None and self.plan.quantised:
            plan = self.plan if fits(self.plan, model) else replan(model, self.plan, self._calibration, self._seed)
            made[Precision.INT8] = int8_graph(model, plan).SerializeToString()
        return made


def rehearsal_pictures(good: NDArray[np.uint8], seed: int) -> list[NDArray[np.uint8]]:
    """A few good pictures (n, H, W, 3), and the same with made-up defects, each (1, H, W, 3)."""
    random = np.random.default_rng(seed)
    chosen = good[np.unique(np.linspace(0, len(good) - 1, min(REHEARSED, len(good))).round().astype(int))]
    found = []
    for picture in chosen:
        found.append(picture[None])
        for _ in range(TRIES):
            image, mask = with_defect(picture, None, (), random)
            if mask.any():
                found.append(image[None])
                break
    return found


def gate_text(precision: Precision, result: GateResult) -> str:
    """What came of the gate, in one line."""
    gate, name = result.gate, precision.value.upper()
    if result.failures:
        return f"{name} is not in the bundle: {'; '.join(result.failures)}. Try: {WHAT_TO_TRY[precision]}"
    auroc, pixel_ap = (100 * (change or 0.0) for change in (gate.image_auroc_change, gate.pixel_ap_change))
    return (
        f"{name} keeps the verdicts: on {gate.pictures} held-out pictures, good and with made-up defects, image AUROC "
        f"{auroc:+.2f}, pixel AP {pixel_ap:+.2f} points, verdicts changed: {gate.verdicts_changed}"
    )


def nothing_to_quantise(plan: Int8Plan) -> str:
    """Why there is no INT8 graph to bring to the gate."""
    return (
        "INT8 is not in the bundle: with any convolution in INT8 the map error exceeds the budget of "
        f"{plan.budget:.2%} (calibration.budget). Try: a new build with a larger budget, or fp16"
    )
