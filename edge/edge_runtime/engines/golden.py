"""The self-test: an engine serves only after it reproduced the bundle's golden pictures."""

from __future__ import annotations

import io
import statistics
import time
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle.manifest import Golden, Threshold, Tolerance
from edge_runtime.bundle.reader import Bundle
from edge_runtime.bundle.verified_file import REBUILD
from edge_runtime.engines.protocol import Engine
from edge_runtime.errors import BundleError, EngineError
from edge_runtime.records import Inspection, Precision


@dataclass(frozen=True)
class Reference:
    """A golden picture, uint8 BGR (1, height, width, 3), with what must be measured on it, and how exactly."""

    bundle: str
    name: str
    picture: NDArray[np.uint8]
    expected: Inspection
    threshold: Threshold
    tolerance: Tolerance


def replay_golden(bundle: Bundle, engine: Engine, precision: Precision) -> float:
    """Run every golden picture through the engine. Returns the largest deviation seen, as a share of the tolerance.

    What is expected is what the bundle's graph of that precision measured.
    Raises EngineError when a score or map is off by more than the precision's tolerance, BundleError when there is no
    golden picture or a golden file is not a picture or a map.
    """
    return max(deviation(engine, reference) for reference in read_references(bundle, precision))


def require_same_verdicts(bundle: Bundle, engine: Engine, precision: Precision) -> None:
    """Raises EngineError when the engine's verdict on a golden picture is not that of the bundle's graph."""
    for reference in read_references(bundle, precision):
        found, limit = engine.infer(reference.picture).score, reference.threshold.score
        if (found > limit) != (reference.expected.score > limit):
            raise EngineError(
                f"{engine.name} changes the verdict on {reference.name}: {found:.6g} where the bundle {bundle.label} "
                f"says {reference.expected.score:.6g}, and the threshold is {limit:.6g}: this engine is not used"
            )


def read_references(bundle: Bundle, precision: Precision) -> tuple[Reference, ...]:
    """All golden pictures, read into memory: the bundle's folder may go while its model serves. Raises BundleError."""
    if not bundle.manifest.golden:
        raise BundleError(f"bundle {bundle.label} has no golden pictures, so nothing proves the engine; {REBUILD}")
    threshold, tolerance = bundle.threshold(precision), bundle.manifest.tolerance_of(precision)
    return tuple(
        Reference(bundle.label, golden.picture, *read_golden(bundle, golden), threshold, tolerance)
        for golden in bundle.manifest.golden_of(precision)
    )


def deviation(engine: Engine, reference: Reference) -> float:
    """How far the engine is off on one golden picture, as a share of the tolerance. Raises EngineError above 1."""
    threshold, tolerance, expected = reference.threshold, reference.tolerance, reference.expected
    found = engine.infer(reference.picture)
    if found.anomaly_map.shape != expected.anomaly_map.shape:
        raise EngineError(
            f"self-test failed: {engine.name} gives a map {found.anomaly_map.shape} for {reference.name} where the "
            f"bundle {reference.bundle} has {expected.anomaly_map.shape}: nothing is served; build the bundle again"
        )
    score_off = abs(found.score - expected.score) / threshold.score / tolerance.score
    map_off = float(np.abs(found.anomaly_map - expected.anomaly_map).max()) / threshold.map / tolerance.map
    if not (score_off <= 1 and map_off <= 1):  # NaN fails as well
        raise EngineError(
            f"self-test failed: {engine.name} gives {found.score:.6g} for {reference.name} where the bundle "
            f"{reference.bundle} says {expected.score:.6g} (deviation {score_off:.2f} of the tolerance in the score, "
            f"{map_off:.2f} in the map): nothing is served; build the engine or the bundle again"
        )
    return max(score_off, map_off)


def median_ms(bundle: Bundle, engine: Engine, rounds: int) -> float:
    """How long the engine takes for a golden picture, in ms. It should have seen one before."""
    picture, _ = read_golden(bundle, bundle.manifest.golden[0])
    times_ms = []
    for _ in range(rounds):
        started = time.perf_counter()
        engine.infer(picture)
        times_ms.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times_ms)


def read_golden(bundle: Bundle, golden: Golden) -> tuple[NDArray[np.uint8], Inspection]:
    """A golden picture, uint8 BGR (1, height, width, 3), and what was measured on it."""
    picture = cv2.imdecode(np.frombuffer(bundle.read(golden.picture), np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise BundleError(f"{bundle.folder / golden.picture} is not a picture; {REBUILD}")
    try:
        anomaly_map = np.load(io.BytesIO(bundle.read(golden.anomaly_map)), allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:  # what NumPy raises for a file that is no array
        raise BundleError(f"{bundle.folder / golden.anomaly_map} is not a map: {error}; {REBUILD}") from error
    return np.asarray(picture, np.uint8)[None], Inspection(golden.score, anomaly_map)
