"""A detector that may serve: a bundle, its engine and its golden pictures, which the engine has reproduced.

model = load_model(open_bundle(station.bundle), station, open_engine)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle.manifest import FrameLimits, Manifest
from edge_runtime.bundle.reader import Bundle
from edge_runtime.config.station import Station
from edge_runtime.engines.golden import Reference, deviation, read_references
from edge_runtime.engines.protocol import Engine
from edge_runtime.engines.tensorrt.errors import GpuError
from edge_runtime.imaging.view import UNLIMITED
from edge_runtime.imaging.view_check import check_view
from edge_runtime.inspection.frame_checks import FIXED_LIMITS
from edge_runtime.inspection.judge import Judge
from edge_runtime.inspection.part_drift import PartDrift
from edge_runtime.records import Inspection, Precision

OpenEngine = Callable[[Station, Bundle], Engine]


@dataclass(frozen=True)
class Model:
    """Owned by whoever loaded it; `close` frees the engine."""

    bundle: Bundle
    precision: Precision
    engine: Engine
    judge: Judge
    references: tuple[Reference, ...]
    worst: float  # the largest deviation of its first self-test, as a share of the tolerance
    drift: PartDrift  # of the parts that it judged

    @property
    def missing_engine(self) -> GpuError | None:
        """Why there is no engine on this device, if there is none."""
        return self.engine.reason if isinstance(self.engine, UnavailableEngine) else None

    @property
    def description(self) -> str:
        """For the log, when it begins to serve."""
        return (
            f"bundle {self.bundle.label} serves: {self.precision.value}, threshold {self.judge.threshold.score:.6g}, "
            f"by {self.engine.name}; golden pictures reproduced, largest deviation {self.worst:.3f} of the tolerance"
        )

    def close(self) -> None:
        """Free the engine."""
        self.engine.__exit__(None, None, None)


class ServingModel:
    """The model that serves now, and its owner. Only the serving thread replaces and closes it."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def replace(self, model: Model) -> None:
        """Let another model serve, and free the engine of the one before."""
        before, self.model = self.model, model
        before.close()

    def close(self) -> None:
        """Free the engine."""
        self.model.close()


def load_model(bundle: Bundle, station: Station, open_engine: OpenEngine) -> Model:
    """Load the engine and replay the golden pictures. Raises EdgeError, and then nothing stays open."""
    references = read_references(bundle, station.precision)
    check_view(bundle.viewer(), bundle.read)
    engine = open_engine(station, bundle).__enter__()
    try:
        worst = max(deviation(engine, reference) for reference in references)
    except BaseException as error:
        engine.__exit__(type(error), error, error.__traceback__)
        raise
    return Model(bundle, station.precision, engine, _judge(engine, bundle, station), references, worst, _drift(bundle))


def model_without_engine(bundle: Bundle, station: Station, reason: GpuError) -> Model:
    """What a station holds until a RELOAD finds an engine: it fails every self-test with the reason."""
    engine = UnavailableEngine(reason)
    references = read_references(bundle, station.precision)
    return Model(bundle, station.precision, engine, _judge(engine, bundle, station), references, 0.0, _drift(bundle))


def _drift(bundle: Bundle) -> PartDrift:
    view = bundle.manifest.view
    return PartDrift(None if view is None else view.usual)


def frame_limits(manifest: Manifest, station: Station) -> FrameLimits:
    """Which frames are judged: the bundle's limits, with the station's own in their places."""
    return station.health.applied_to(manifest.frames or FIXED_LIMITS)


def part_quality_low(manifest: Manifest, station: Station) -> float | None:
    """How much a part must look like good ones where it is found; None where no view looks for it."""
    view = manifest.view
    if view is None or view.usual is None:
        return None
    return station.health.applied_to_part(view.limits).quality_low


def _judge(engine: Engine, bundle: Bundle, station: Station) -> Judge:
    manifest, threshold = bundle.manifest, bundle.threshold(station.precision)
    viewer = bundle.viewer()
    part_limits = station.health.applied_to_part(manifest.view.limits) if manifest.view else UNLIMITED
    return Judge(engine, threshold, viewer, limits=frame_limits(manifest, station), part_limits=part_limits)


class UnavailableEngine:
    """Stands in for an engine that this device does not have: the station stays, says why, and judges nothing.

    Every use of it raises the error that says what is missing.
    """

    def __init__(self, reason: GpuError) -> None:
        self.reason = reason

    @property
    def name(self) -> str:
        """For logs."""
        return "no engine"

    def infer(self, image: NDArray[np.uint8]) -> Inspection:
        """Raises GpuError."""
        raise self.reason

    def __enter__(self) -> UnavailableEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to free."""


class Loader:
    """Loads a model in a thread of its own, beside the one that serves; one at a time."""

    def __init__(self, load: Callable[[], Model]) -> None:
        self._load = load
        self._thread: threading.Thread | None = None

    def start(self, on_loaded: Callable[[Model], None], on_failed: Callable[[Exception], None]) -> bool:
        """Begin to load; one of the two is called in the end, in the loader's thread. False: one is being loaded."""
        if self._thread is not None and self._thread.is_alive():
            return False
        self._thread = threading.Thread(target=self._run, args=(on_loaded, on_failed), name="loader", daemon=True)
        self._thread.start()
        return True

    def _run(self, on_loaded: Callable[[Model], None], on_failed: Callable[[Exception], None]) -> None:
        try:
            model = self._load()
        except Exception as error:  # a bug in loading must not take the model that serves with it
            on_failed(error)
        else:
            on_loaded(model)
