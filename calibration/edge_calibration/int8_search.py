"""What becomes INT8 in a detector's graph, decided by how far its scores and maps move.

Ranges by minmax, percentile and entropy are tried, and the one with the least error is taken; biases make up for what
rounding the weights takes from each channel. Then each convolution is made INT8 alone, and those that cost most for the
work that they are stay in FP16, until the error of all others together holds the budget. Who judges the result may find
that verdicts change all the same: `give_up_some` then gives the next plan, with fewer layers in INT8.

    search = Int8Search(model, calibration, rehearsal, budget=0.005, seed=0, progress)
    int8 = int8_graph(model, search.plan)
    while not good(int8) and search.give_up_some():
        int8 = int8_graph(model, search.plan)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_calibration.activation_ranges import Statistics, measure_ranges, ranges_by
from edge_calibration.fp16 import fp16_nodes, with_fp16
from edge_calibration.fp16_emulation import emulated_graph
from edge_calibration.int8_plan import METHODS, Int8Plan, Layer, Method
from edge_calibration.progress import Progress
from edge_calibration.qdq import bias_corrections, with_qdq
from edge_calibration.quantisable_network import Network, multiply_adds, network_of
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.records import Inspection

MOST_TRIES = 8  # of how many layers stay in FP16
LEAST_SHARE = 0.6  # of the multiply-adds stay INT8 whatever the budget says; only the gate takes more
GIVEN_UP = 0.7  # of the multiply-adds in INT8 remain when the gate has refused


def fp16_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network in FP16, all else in FP32."""
    return with_fp16(model, network_of(model).nodes)


def int8_graph(model: onnx.ModelProto, plan: Int8Plan) -> onnx.ModelProto:
    """The planned convolutions in INT8, the rest of the network in FP16, all else in FP32.

    The plan may be that of another detector as long as both have the same network (`fits`).
    """
    return _int8(model, network_of(model), plan.ranges, plan.quantised, plan.biases)


def fits(plan: Int8Plan, model: onnx.ModelProto) -> bool:
    """Whether a graph has the network that the plan's ranges were measured on."""
    return plan.weights == _weights_hash(network_of(model))


def replan(model: onnx.ModelProto, plan: Int8Plan, calibration: Sequence[NDArray[np.uint8]], seed: int) -> Int8Plan:
    """The same decisions for a graph of the same shape with another network: its ranges are measured again."""
    network = network_of(model)
    statistics = measure_ranges(model, network, calibration, seed)
    biases = _biases(network, statistics) if plan.biases else {}
    return plan.with_changes(ranges=ranges_by(plan.method, statistics), biases=biases, weights=_weights_hash(network))


@dataclass(frozen=True)
class Deviation:
    """How far a graph is from FP32, the median over pictures. map: root mean square over a map, as a share of the FP32
    maps' mean peak. score: relative difference, after what all have in common, which the threshold follows.

    The median, as now and then another reference is retrieved, and one picture then moves by any amount, whatever the
    precision: the gate counts those, and the search would only follow the chance of its few pictures.
    """

    map: float
    score: float

    @property
    def error(self) -> float:
        """The larger of the two."""
        return max(self.map, self.score)


class Int8Search:
    """The plan for one graph, and the next ones. plan: the current one. statistics: what its ranges were made of."""

    def __init__(
        self,
        model: onnx.ModelProto,
        calibration: Sequence[NDArray[np.uint8]],
        rehearsal: Sequence[NDArray[np.uint8]],
        budget: float,
        seed: int,
        progress: Progress,
    ) -> None:
        """Measures ranges on calibration pictures, and errors on rehearsal pictures, each uint8 (1, H, W, 3).

        Neither may be a picture that the result is judged on. A detector may know the rehearsal pictures, if there is
        a defect on them: an own picture measures nothing.
        """
        self._model, self._network, self._progress = model, network_of(model), progress
        self.statistics = measure_ranges(model, self._network, progress.track("INT8 ranges", calibration), seed)
        self._biases = _biases(self._network, self.statistics)
        self._measure = DeviationMeter(model, rehearsal)
        everything = tuple(self._network.convolutions)
        errors: dict[Method, float] = {}
        by_method = {method: ranges_by(method, self.statistics) for method in METHODS}
        for method in progress.track("INT8 methods", METHODS):
            self._ranges = by_method[method]
            errors[method] = self._error_of(everything)
        method = min(METHODS, key=errors.__getitem__)
        self._ranges = by_method[method]
        alone = {name: self._error_of((name,)) for name in progress.track("INT8 sensitivity", everything)}
        work = multiply_adds(model, self._network)
        self._order = sorted(everything, key=lambda name: -(alone[name] ** 2) / work[name])
        most = _most_in_fp16([work[name] for name in self._order])
        count, error = _fewest_in_fp16(
            [alone[name] for name in self._order],
            lambda kept: self._error_of(self._order[kept:]),
            errors[method],
            budget,
            most,
        )
        chosen = frozenset(self._order[count:])
        self.plan = Int8Plan(
            method=method,
            errors_by_method=errors,
            budget=budget,
            error=error,
            layers=tuple(
                Layer(name=name, error=alone[name], int8=name in chosen, multiply_adds=work[name])
                for name in everything
            ),
            ranges=self._ranges,
            weights=_weights_hash(self._network),
            biases=self._biases,
        )
        progress.say(plan_text(self.plan))

    def give_up_some(self) -> bool:
        """Move the next layers to FP16, about a third of the work that is INT8. False when none would remain."""
        layers = {layer.name: layer for layer in self.plan.layers}
        remaining = [name for name in self._order if layers[name].int8]
        work = sum(layers[name].multiply_adds for name in remaining)
        while remaining and sum(layers[name].multiply_adds for name in remaining) > GIVEN_UP * work:
            remaining.pop(0)
        if not remaining:
            return False
        changed = tuple(one.with_changes(int8=one.name in remaining) for one in self.plan.layers)
        self.plan = self.plan.with_changes(layers=changed, error=self._error_of(remaining))
        self._progress.say(plan_text(self.plan))
        return True

    def _error_of(self, chosen: Collection[str]) -> float:
        graph = _int8(self._model, self._network, self._ranges, chosen, self._biases)
        return self._measure(graph).error


def plan_text(plan: Int8Plan) -> str:
    """One line for people: the method, and what stays in FP16."""
    in_fp16 = ", ".join(layer.name.strip("/") for layer in plan.in_fp16) or "none"
    return (
        f"INT8: ranges by {plan.method}; {len(plan.quantised)} of {len(plan.layers)} convolutions, {plan.share:.0%} of "
        f"their multiply-adds, error {plan.error:.2%} (budget {plan.budget:.2%}, all of them "
        f"{plan.errors_by_method[plan.method]:.2%}); in FP16 stay: {in_fp16}"
    )


class DeviationMeter:
    """How far a graph's measurements are from those of the FP32 graph, computed as a device would."""

    def __init__(self, model: onnx.ModelProto, pictures: Sequence[NDArray[np.uint8]]) -> None:
        self._pictures = pictures
        self._reference = self._measured(model)
        self._peak = float(np.mean([one.anomaly_map.max() for one in self._reference]))

    def __call__(self, model: onnx.ModelProto) -> Deviation:
        """Over all pictures."""
        pairs = list(zip(self._measured(model), self._reference, strict=True))
        maps = [np.sqrt(np.square(one.anomaly_map - before.anomaly_map).mean()) for one, before in pairs]
        ratios = np.array([one.score / max(before.score, 1e-30) for one, before in pairs])
        common = max(float(np.median(ratios)), 1e-30)
        return Deviation(float(np.median(maps)) / self._peak, float(np.median(np.abs(ratios / common - 1))))

    def _measured(self, model: onnx.ModelProto) -> list[Inspection]:
        with OnnxruntimeEngine(emulated_graph(model).SerializeToString(), spinning=False) as engine:
            return [engine.infer(picture) for picture in self._pictures]


def _int8(
    model: onnx.ModelProto,
    network: Network,
    ranges: Mapping[str, float],
    chosen: Collection[str],
    biases: Mapping[str, Sequence[float]],
) -> onnx.ModelProto:
    rest = fp16_nodes(model, network.nodes, chosen)
    return with_fp16(with_qdq(model, network, ranges, chosen, biases), rest)


def _biases(network: Network, statistics: Mapping[str, Statistics]) -> dict[str, tuple[float, ...]]:
    return bias_corrections(network, {tensor: one.means for tensor, one in statistics.items()})


def _most_in_fp16(work: Sequence[int]) -> int:
    """How many of the first may leave INT8 so that its share of the work stays what it should be."""
    gone = np.cumsum(work) / max(sum(work), 1)
    return int(np.searchsorted(gone, 1 - LEAST_SHARE, side="right"))


def _fewest_in_fp16(
    alone: Sequence[float], error_of: Callable[[int], float], error: float, budget: float, most: int
) -> tuple[int, float]:
    """How many of the first layers must stay in FP16 so that the error holds the budget, and that error; `most` when
    none of so many is enough.

    alone: the error of each layer, those that are to stay first. error: with no layer in FP16. Errors of single layers
    add up in squares, roughly: that says where to start; then the number is bisected.
    """
    if error <= budget or most == 0:
        return 0, error
    squares = np.cumsum(np.square(alone)[::-1])[::-1]  # of a layer and all behind it
    scale = error**2 / max(float(squares[0]), 1e-30)  # how much more it is together than the rule says
    guess = next((n for n in range(1, len(alone)) if squares[n] * scale <= budget**2), most)
    too_few, enough, found = 0, most, None
    for _ in range(MOST_TRIES):
        if enough - too_few <= 1:
            break
        kept = min(max(guess, too_few + 1), enough - 1)
        tried = error_of(kept)
        if tried <= budget:
            enough, found = kept, tried
        else:
            too_few = kept
        guess = (too_few + enough) // 2
    return enough, error_of(enough) if found is None else found


def _weights_hash(network: Network) -> str:
    digest = hashlib.sha256()
    for convolution in network.convolutions.values():
        digest.update(convolution.data.encode() + convolution.weight.tobytes())
    return digest.hexdigest()
