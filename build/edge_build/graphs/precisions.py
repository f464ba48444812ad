"""FP16 and INT8 beside FP32, made from its graph; `judgement.py` finds out whether they keep the verdicts.

maker = PrecisionMaker(recipe.precisions, recipe.calibration, graph, candidates, seed, progress)
maker.graphs(graph)  # the same precisions of any fold's graph
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from scipy.special import betaincinv

from edge_build.detectors.defects.synthetic import with_defect
from edge_build.progress import Progress
from edge_build.recipe.recipe import CalibrationSettings, PrecisionName
from edge_calibration.activation_ranges import Statistics
from edge_calibration.int8_plan import Int8Plan
from edge_calibration.int8_search import Int8Search, fits, fp16_graph, int8_graph, replan
from edge_calibration.lighting import varied
from edge_calibration.picture_selection import descriptors, spread
from edge_calibration.quantisable_network import network_of
from edge_runtime.bundle.manifest import Gate, Record
from edge_runtime.records import Precision

REHEARSED = 8  # pictures with a made-up defect that INT8's errors are measured on
TRIES = 20  # of the making-up
WHAT_TO_TRY = {
    Precision.FP16: "use fp32, or collect more good pictures, which make a threshold steadier",
    Precision.INT8: "fp16; with hardly a layer in INT8 verdicts still changed, so those near the threshold decide, and "
    "more good pictures make it steadier",
}


class GateResult(Record):
    """How a precision did at the gate. failures: empty when it got into the bundle."""

    gate: Gate
    failures: tuple[str, ...]


class PrecisionMaker:
    """Makes the recipe's precisions of a detector's graph, and of those of its folds, in the same way.

    calibrated_on: row numbers among the candidates.
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
        self._search: Int8Search | None = None
        if Precision.INT8 in self.wanted:
            model = onnx.load_from_string(graph)
            self.calibrated_on = spread(descriptors(model, network_of(model), candidates), settings.pictures)
            chosen = candidates[self.calibrated_on]
            self._calibration = list(varied(chosen, settings.exposure, settings.lighting))
            rehearsal = rehearsal_pictures(chosen, seed)
            self._search = Int8Search(model, self._calibration, rehearsal, settings.budget, seed, progress)

    @property
    def plan(self) -> Int8Plan | None:
        """What is INT8 at present; None without INT8."""
        return None if self._search is None else self._search.plan

    @property
    def statistics(self) -> dict[str, Statistics]:
        """What INT8's ranges were made of; empty without INT8."""
        return {} if self._search is None else self._search.statistics

    def give_up_some_int8(self) -> bool:
        """Leave less in INT8, as the gate has refused it. False when nothing would be left."""
        return self._search is not None and self._search.give_up_some()

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
    """Good pictures (n, H, W, 3) with made-up defects, each (1, H, W, 3). Without a defect they would tell nothing of a
    detector that compares with them. Where none comes about, the pictures as they are."""
    random = np.random.default_rng(seed)
    found = []
    for picture in (good[number % len(good)] for number in range(REHEARSED)):
        for _ in range(TRIES):
            image, mask = with_defect(picture, None, (), random)
            if mask.any():
                found.append(image[None])
                break
    return found or [picture[None] for picture in good[:REHEARSED]]


def gate_text(precision: Precision, result: GateResult) -> str:
    """What came of the gate, in one line."""
    gate, name = result.gate, precision.value.upper()
    if result.failures:
        return f"{name} is not in the bundle: {'; '.join(result.failures)}. Try: {WHAT_TO_TRY[precision]}"
    auroc, pixel_ap = (100 * (change or 0.0) for change in (gate.image_auroc_change, gate.pixel_ap_change))
    return (
        f"{name} keeps the verdicts: on {gate.pictures} held-out pictures, good and with made-up defects, image AUROC "
        f"{auroc:+.2f}, pixel AP {pixel_ap:+.2f} points, verdicts changed: {gate.verdicts_changed}{_statistics(gate)}"
    )


def _statistics(gate: Gate) -> str:
    """What so few pictures can show: the count rules out more than the upper end of Clopper and Pearson (95 %)."""
    if gate.near_ties is None or gate.changed_share is None or gate.verdicts_changed >= gate.pictures:
        return ""
    most = betaincinv(gate.verdicts_changed + 1, gate.pictures - gate.verdicts_changed, 0.95)
    return (
        f" (so few pictures rule out more than {most:.1%}; {gate.near_ties} are near ties, and by all deviations an "
        f"estimated {gate.changed_share:.1%} of verdicts change)"
    )
