"""How large the numbers are that a network's convolutions see: measured on calibration pictures, in one pass.

The largest magnitude is exact; the shape of the distribution comes from a sample of each tensor, which is enough for a
percentile or an entropy and a hundred times as fast as counting all of it.

    statistics = measure_ranges(graph, network, pictures, seed)
    ranges = ranges_by("entropy", statistics)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_calibration.int8_plan import Method
from edge_calibration.picture_selection import session_with_outputs
from edge_calibration.quantisable_network import Network

PERCENTILE = 99.99
SAMPLE = 1 << 14  # values of a tensor that are looked at in each picture
BINS = 2048
KEPT_LEVELS = 128  # of int8's magnitudes
ENTROPY_STEP = 16  # bins between two ranges that are tried


@dataclass(frozen=True)
class Statistics:
    """Of one tensor. largest: its greatest magnitude. magnitudes: a sample of them, float32 (n,), ascending.

    means: for each channel, float64 (c,).
    """

    largest: float
    magnitudes: NDArray[np.float32]
    means: NDArray[np.float64]


def measure_ranges(
    model: onnx.ModelProto, network: Network, pictures: Iterable[NDArray[np.uint8]], seed: int
) -> dict[str, Statistics]:
    """Run the float32 graph on pictures (each uint8 (1, H, W, 3)) and look at what its convolutions get.

    Returns the statistics of each tensor that goes into a convolution of the network, by its name.
    """
    tensors = sorted({convolution.data for convolution in network.convolutions.values()})
    session = session_with_outputs(model, tensors)
    random = np.random.default_rng(seed)
    largest = dict.fromkeys(tensors, 0.0)
    samples: dict[str, list[NDArray[np.float32]]] = {tensor: [] for tensor in tensors}
    sums: dict[str, NDArray[np.float64] | float] = dict.fromkeys(tensors, 0.0)
    count = 0
    for picture in pictures:
        count += 1
        for tensor, values in zip(tensors, session.run(tensors, {"image": picture}), strict=True):
            flat = values.reshape(-1)
            largest[tensor] = max(largest[tensor], float(flat.max()), -float(flat.min()))
            samples[tensor].append(np.abs(flat[random.integers(flat.size, size=min(SAMPLE, flat.size))]))
            sums[tensor] = sums[tensor] + values.mean((0, 2, 3), dtype=np.float64)
    if not count:
        raise ValueError("there are no pictures to measure ranges on")
    return {
        tensor: Statistics(largest[tensor], np.sort(np.concatenate(samples[tensor])), np.asarray(sums[tensor]) / count)
        for tensor in tensors
    }


def ranges_by(method: Method, statistics: Mapping[str, Statistics]) -> dict[str, float]:
    """The largest magnitude of each tensor that INT8 should represent; what is larger is clipped to it."""
    rule = RULES[method]
    return {tensor: rule(one) for tensor, one in statistics.items()}


def entropy_range(statistics: Statistics) -> float:
    """The range whose 128 levels keep most of the distribution: least Kullback-Leibler divergence.

    Source: Migacz, "8-bit inference with TensorRT" (GTC 2017): the clipped tail counts for the last bin, and a level's
    mass is spread over those of its bins that are not empty.
    """
    if statistics.largest == 0:
        return 0.0
    counts, edges = np.histogram(statistics.magnitudes, BINS, (0, statistics.largest))
    counts[0] = counts[1]  # zeros are represented whatever the range; a spike of them would drown all else
    best, best_range = np.inf, statistics.largest
    for kept in range(KEPT_LEVELS, BINS + 1, ENTROPY_STEP):
        real = counts[:kept].astype(np.float64)
        filled = real > 0
        real[-1] += counts[kept:].sum()
        level = np.arange(kept) * KEPT_LEVELS // kept
        mass = np.bincount(level, counts[:kept], KEPT_LEVELS)
        members = np.bincount(level, filled, KEPT_LEVELS)
        spread = np.where(filled, mass[level] / np.maximum(members[level], 1), 0.0)
        divergence = _divergence(real, spread)
        if divergence < best:
            best, best_range = divergence, float(edges[kept])
    return best_range


def _divergence(real: NDArray[np.float64], kept: NDArray[np.float64]) -> float:
    """KL(real || kept) of two histograms; a bin that only `real` has counts as one thousandth of a sample in `kept`."""
    total, kept_total = real.sum(), kept.sum()
    if not kept_total:
        return float(np.inf)
    some = real > 0
    p, q = real[some] / total, np.maximum(kept[some], 1e-3) / kept_total
    return float((p * np.log(p / q)).sum())


RULES: Mapping[Method, Callable[[Statistics], float]] = {
    "minmax": lambda statistics: statistics.largest,
    "percentile": lambda statistics: float(np.percentile(statistics.magnitudes, PERCENTILE)),
    "entropy": entropy_range,
}
