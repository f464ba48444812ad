"""Which engine serves, and why that one.

    chosen = choose_engine(EngineKind.AUTO, bundle, Precision.FP32, EngineCache(folder, machine_id))
    with chosen.engine as engine: ...

`auto` takes TensorRT where it loads and reproduces the golden pictures, and otherwise onnxruntime on the CPU, whose
scores are the reference. What is asked for by name is never replaced by something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.bundle.reader import Bundle
from edge_runtime.engines.golden import replay_golden
from edge_runtime.engines.onnxruntime_engine import CPU, CUDA, TENSORRT, OnnxruntimeEngine
from edge_runtime.engines.protocol import Engine, EngineKind
from edge_runtime.engines.tensorrt.engine import TensorrtEngine
from edge_runtime.engines.tensorrt.engine_cache import EngineCache, machine_id
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import DriverMissingError, GpuError
from edge_runtime.engines.tensorrt.implicit_int8 import NOT_JUDGED, Calibrator, implicit_key
from edge_runtime.engines.tensorrt.stack import Nvidia, find_nvidia
from edge_runtime.errors import ConfigError, EngineError
from edge_runtime.records import Precision

PROVIDERS = {
    EngineKind.ONNXRUNTIME: CPU,
    EngineKind.ONNXRUNTIME_CUDA: CUDA,
    EngineKind.ONNXRUNTIME_TENSORRT: TENSORRT,
}
CALIBRATORS = {EngineKind.TENSORRT_ENTROPY: Calibrator.ENTROPY, EngineKind.TENSORRT_MINMAX: Calibrator.MINMAX}


@dataclass(frozen=True)
class Chosen:
    """An open engine, for the caller to close, and why it is this one, in a few words. detail: what a better one says
    of itself that does not serve, in full; otherwise None."""

    engine: Engine
    why: str
    detail: str | None = None


def choose_engine(
    kind: EngineKind,
    bundle: Bundle,
    precision: Precision,
    engines: Path,
    threads: int = 0,
    find: Callable[[], Nvidia] = find_nvidia,
    identify: Callable[[], str] = machine_id,
) -> Chosen:
    """Open what is asked for. engines: the folder of `edge-build compile`. threads: onnxruntime's; 0: one per core.

    Raises EngineError (a GpuError where it is the GPU's), ConfigError without a machine id.
    """
    if kind is EngineKind.AUTO:
        return _best(bundle, precision, engines, threads, find, identify)
    if kind in CALIBRATORS:
        return _calibrated(CALIBRATORS[kind], bundle, precision, find, EngineCache(engines, identify()))
    if kind is EngineKind.TENSORRT:
        return Chosen(open_tensorrt(bundle, precision, find(), EngineCache(engines, identify())), "as configured")
    return Chosen(OnnxruntimeEngine(bundle.graph(precision), threads, PROVIDERS[kind]), "as configured")


def open_tensorrt(bundle: Bundle, precision: Precision, nvidia: Nvidia, cache: EngineCache) -> TensorrtEngine:
    """The engine that this device compiled of a bundle's graph. Raises GpuError."""
    key = EngineKey.of(nvidia, bundle.graph_sha256(precision), precision)
    return TensorrtEngine(nvidia, cache.read(key), key)


def _calibrated(
    calibrator: Calibrator, bundle: Bundle, precision: Precision, find: Callable[[], Nvidia], cache: EngineCache
) -> Chosen:
    if precision is not Precision.INT8:
        raise ConfigError(
            f"the engine tensorrt-{calibrator.value} computes in INT8, and {precision.value} is asked for: choose "
            "precision int8, or another engine"
        )
    nvidia = find()
    key = implicit_key(nvidia, bundle, calibrator)
    return Chosen(TensorrtEngine(nvidia, cache.read(key), key), f"as configured; {NOT_JUDGED}")


def _best(
    bundle: Bundle,
    precision: Precision,
    engines: Path,
    threads: int,
    find: Callable[[], Nvidia],
    identify: Callable[[], str],
) -> Chosen:
    try:
        nvidia = find()
        engine = open_tensorrt(bundle, precision, nvidia, EngineCache(engines, identify()))
        try:
            replay_golden(bundle, engine, precision)
        except BaseException:
            engine.__exit__(None, None, None)
            raise
        return Chosen(engine, "auto: TensorRT is here, and reproduces the golden pictures")
    except (EngineError, ConfigError) as error:
        return Chosen(OnnxruntimeEngine(bundle.graph(precision), threads), f"auto: {_in_short(error)}", str(error))


def _in_short(error: EngineError | ConfigError) -> str:
    """Why TensorRT does not serve, for a line of a log. A machine without NVIDIA's hardware is as it should be; what is
    wrong otherwise can be mended, so the command that says it all is named."""
    if isinstance(error, DriverMissingError):
        return error.short
    why = "the machine has no machine id" if isinstance(error, ConfigError) else "its engine fails the self-test"
    return (
        f"no TensorRT, {error.short if isinstance(error, GpuError) else why} "
        "(edge-daemon selftest BUNDLE --engine tensorrt says more)"
    )
