"""What becomes INT8 in a detector's graph, decided by the error at its anomaly map.

Ranges by minmax, percentile and entropy are tried, and the one with the least error is taken. Then each convolution is
made INT8 alone, and the costliest stay in FP16 until the error of all others together holds the budget.

    plan = plan_int8(model, calibration, rehearsal, budget=0.01, seed=0, progress)
    int8 = int8_graph(model, plan)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_calibration.activation_ranges import Statistics, measure_ranges, ranges_by
from edge_calibration.fp16 import fp16_nodes, with_fp16
from edge_calibration.fp16_emulation import emulated_graph
from edge_calibration.int8_plan import METHODS, Int8Plan, Layer, Method
from edge_calibration.progress import Progress
from edge_calibration.qdq import with_qdq
from edge_calibration.quantisable_network import Network, network_of
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine

MOST_TRIES = 8  # of how many layers stay in FP16


def fp16_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network in FP16, all else in FP32."""
    return with_fp16(model, network_of(model).nodes)


def int8_graph(model: onnx.ModelProto, plan: Int8Plan) -> onnx.ModelProto:
    """The planned convolutions in INT8, the rest of the network in FP16, all else in FP32.

    The plan may be that of another detector as long as both have the same network (`fits`).
    """
    return _int8(model, network_of(model), plan.ranges, plan.quantised)


def fits(plan: Int8Plan, model: onnx.ModelProto) -> bool:
    """Whether a graph has the network that the plan's ranges were measured on."""
    return plan.weights == _weights_hash(network_of(model))


def replan(model: onnx.ModelProto, plan: Int8Plan, calibration: Sequence[NDArray[np.uint8]], seed: int) -> Int8Plan:
    """The same decisions for a graph of the same shape with another network: its ranges are measured again."""
    network = network_of(model)
    ranges = ranges_by(plan.method, measure_ranges(model, network, calibration, seed))
    return plan.with_changes(ranges=ranges, weights=_weights_hash(network))


def plan_int8(
    model: onnx.ModelProto,
    calibration: Sequence[NDArray[np.uint8]],
    rehearsal: Sequence[NDArray[np.uint8]],
    budget: float,
    seed: int,
    progress: Progress,
) -> tuple[Int8Plan, dict[str, Statistics]]:
    """Measure ranges on calibration pictures, and errors on rehearsal pictures, each uint8 (1, H, W, 3).

    Neither may be a picture that the result is judged on. Returns the plan and what the ranges were made of.
    """
    network = network_of(model)
    statistics = measure_ranges(model, network, progress.track("INT8 ranges", calibration), seed)
    meter = MapError(model, rehearsal)
    by_method = {method: ranges_by(method, statistics) for method in METHODS}
    everything = tuple(network.convolutions)

    def error_of(ranges: Mapping[str, float], chosen: Collection[str]) -> float:
        return meter(_int8(model, network, ranges, chosen))

    errors: dict[Method, float] = {
        method: error_of(by_method[method], everything) for method in progress.track("INT8 methods", METHODS)
    }
    method = min(METHODS, key=errors.__getitem__)
    ranges = by_method[method]
    alone = {
        name: meter(with_qdq(model, network, ranges, (name,)))
        for name in progress.track("INT8 sensitivity", everything)
    }
    kept, error = _keep_costliest(alone, lambda chosen: error_of(ranges, chosen), errors[method], budget)
    layers = tuple(Layer(name=name, error=alone[name], int8=name not in kept) for name in everything)
    plan = Int8Plan(
        method=method,
        errors_by_method=errors,
        budget=budget,
        error=error,
        layers=layers,
        ranges=ranges,
        weights=_weights_hash(network),
    )
    progress.say(plan_text(plan))
    return plan, statistics


def plan_text(plan: Int8Plan) -> str:
    """One line for people: the method, and what stays in FP16."""
    kept = ", ".join(layer.name.strip("/") for layer in plan.in_fp16) or "none"
    return (
        f"INT8: ranges by {plan.method}; {len(plan.quantised)} of {len(plan.layers)} convolutions, map error "
        f"{plan.error:.2%} (budget {plan.budget:.2%}, all of them {plan.errors_by_method[plan.method]:.2%}); "
        f"in FP16 stay: {kept}"
    )


class MapError:
    """How far a graph's anomaly maps are from those of the FP32 graph, computed as a device would."""

    def __init__(self, model: onnx.ModelProto, pictures: Sequence[NDArray[np.uint8]]) -> None:
        self._pictures = pictures
        self._maps = self._maps_of(model)
        self._largest = float(np.mean([m.max() for m in self._maps]))

    def __call__(self, model: onnx.ModelProto) -> float:
        """The root mean square over all pixels, as a share of the mean of the FP32 maps' largest values."""
        squares = [np.square(a - b).mean() for a, b in zip(self._maps_of(model), self._maps, strict=True)]
        return float(np.sqrt(np.mean(squares)) / self._largest)

    def _maps_of(self, model: onnx.ModelProto) -> list[NDArray[np.float32]]:
        with OnnxruntimeEngine(emulated_graph(model).SerializeToString(), spinning=False) as engine:
            return [engine.infer(picture).anomaly_map for picture in self._pictures]


def _int8(
    model: onnx.ModelProto, network: Network, ranges: Mapping[str, float], chosen: Collection[str]
) -> onnx.ModelProto:
    rest = fp16_nodes(model, network.nodes, chosen)
    return with_fp16(with_qdq(model, network, ranges, chosen), rest)


def _keep_costliest(
    alone: Mapping[str, float], error_of: Callable[[Collection[str]], float], error: float, budget: float
) -> tuple[set[str], float]:
    """The fewest of the costliest layers without which the error holds the budget, and that error.

    Errors of single layers add up in squares, roughly: that says where to start; then the number is bisected.
    error: with no layer kept.
    """
    if error <= budget:
        return set(), error
    order = sorted(alone, key=lambda name: -alone[name])
    squares = np.cumsum(np.square([alone[name] for name in order])[::-1])[::-1]  # of a layer and all cheaper ones
    scale = error**2 / max(float(squares[0]), 1e-30)  # how much more it is together than the rule says
    guess = next((n for n in range(1, len(order)) if squares[n] * scale <= budget**2), len(order))
    too_few, enough, found = 0, len(order), None
    for _ in range(MOST_TRIES):
        if enough - too_few <= 1:
            break
        kept = min(max(guess, too_few + 1), enough - 1)
        tried = error_of(order[kept:])
        if tried <= budget:
            enough, found = kept, tried
        else:
            too_few = kept
        guess = (too_few + enough) // 2
    return set(order[:enough]), error_of(order[enough:]) if found is None else found


def _weights_hash(network: Network) -> str:
    digest = hashlib.sha256()
    for convolution in network.convolutions.values():
        digest.update(convolution.data.encode() + convolution.weight.tobytes())
    return digest.hexdigest()
