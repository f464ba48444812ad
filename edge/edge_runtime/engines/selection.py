"""Which engine serves, and why that one.

    chosen = choose_engine(EngineKind.AUTO, bundle, Precision.FP32, Path("/var/lib/edge/engines"))
    with chosen.engine as engine: ...

`auto` takes TensorRT, then TensorRT-RTX, where it loads and reproduces the golden pictures, and otherwise onnxruntime
on the CPU, whose scores are the reference. What is asked for by name is never replaced by something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.bundle.device_seal import machine_id
from edge_runtime.bundle.reader import Bundle
from edge_runtime.engines.golden import replay_golden
from edge_runtime.engines.onnxruntime_engine import CPU, CUDA, TENSORRT, OnnxruntimeEngine
from edge_runtime.engines.protocol import Engine, EngineKind
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.errors import DriverMissingError, GpuError, TensorrtMissingError
from edge_runtime.engines.tensorrt.implicit_int8 import NOT_JUDGED, Calibrator, implicit_key
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.engines.tensorrt.opening import open_device_engine, open_engine
from edge_runtime.engines.tensorrt.stack import Nvidia, find_nvidia
from edge_runtime.errors import ConfigError, EngineError
from edge_runtime.records import Precision

PROVIDERS = {
    EngineKind.ONNXRUNTIME: CPU,
    EngineKind.ONNXRUNTIME_CUDA: CUDA,
    EngineKind.ONNXRUNTIME_TENSORRT: TENSORRT,
}
CALIBRATORS = {EngineKind.TENSORRT_ENTROPY: Calibrator.ENTROPY, EngineKind.TENSORRT_MINMAX: Calibrator.MINMAX}
LIBRARIES = {EngineKind.TENSORRT: Library.TENSORRT, EngineKind.TENSORRT_RTX: Library.TENSORRT_RTX}
Find = Callable[[Library], Nvidia]


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
    find: Find = find_nvidia,
    identify: Callable[[], str] = machine_id,
) -> Chosen:
    """Open what is asked for. engines: the folder of `edge-build compile`. threads: onnxruntime's; 0: one per core.

    Raises EngineError (a GpuError where it is the GPU's), ConfigError without a machine id.
    """
    if kind is EngineKind.AUTO:
        return _best(bundle, precision, engines, threads, find, identify)
    if kind in CALIBRATORS:
        return _calibrated(CALIBRATORS[kind], bundle, precision, find, EngineCache(engines, identify()))
    if kind in LIBRARIES:
        nvidia = find(LIBRARIES[kind])
        cache = EngineCache(engines, identify())
        return Chosen(open_device_engine(bundle, precision, nvidia, cache), "as configured")
    return Chosen(_reference(bundle, precision, threads, PROVIDERS[kind]), "as configured")


def _reference(bundle: Bundle, precision: Precision, threads: int, provider: str) -> OnnxruntimeEngine:
    """onnxruntime on the bytes that were verified."""
    try:
        return OnnxruntimeEngine(bundle.graph_bytes(precision), threads, provider)
    except EngineError as error:
        raise EngineError(f"{bundle.graph(precision)}: {error}") from error


def _calibrated(calibrator: Calibrator, bundle: Bundle, precision: Precision, find: Find, cache: EngineCache) -> Chosen:
    if precision is not Precision.INT8:
        raise ConfigError(
            f"the engine tensorrt-{calibrator.value} computes in INT8, and {precision.value} is asked for: choose "
            "precision int8, or another engine"
        )
    nvidia = find(Library.TENSORRT)
    key = implicit_key(nvidia, bundle, calibrator)
    return Chosen(open_engine(bundle, key, nvidia, cache), f"as configured; {NOT_JUDGED}")


def _best(
    bundle: Bundle,
    precision: Precision,
    engines: Path,
    threads: int,
    find: Find,
    identify: Callable[[], str],
) -> Chosen:
    problems: list[tuple[Library, EngineError | ConfigError]] = []
    for library in LIBRARIES.values():
        try:
            engine = _proven(bundle, precision, find(library), EngineCache(engines, identify()))
            return Chosen(engine, f"auto: {library.label} is here, and reproduces the golden pictures")
        except DriverMissingError as error:
            problems = [(library, error)]
            break
        except (EngineError, ConfigError) as error:
            problems.append((library, error))
    detail = "; ".join(str(error) for _, error in problems)
    return Chosen(_reference(bundle, precision, threads, CPU), f"auto: {_in_short(problems)}", detail)


def _proven(bundle: Bundle, precision: Precision, nvidia: Nvidia, cache: EngineCache) -> Engine:
    """An open engine that reproduces the golden pictures. Raises EngineError."""
    engine = open_device_engine(bundle, precision, nvidia, cache)
    try:
        replay_golden(bundle, engine, precision)
    except BaseException:
        engine.__exit__(None, None, None)
        raise
    return engine


def _in_short(problems: Sequence[tuple[Library, EngineError | ConfigError]]) -> str:
    """Why no GPU serves, for a line of a log. A machine without NVIDIA's hardware is as it should be, and nobody needs
    both compilers; what is wrong otherwise can be mended, so the command that says it all is named."""
    if isinstance(problems[0][1], DriverMissingError):
        return problems[0][1].short
    installed = [(library, error) for library, error in problems if not isinstance(error, TensorrtMissingError)]
    named = installed or problems[:1]
    reasons = ", ".join(f"no {library.label}, {_reason(error)}" for library, error in named)
    return f"{reasons} (edge-daemon selftest BUNDLE --engine {named[0][0].value} says more)"


def _reason(error: EngineError | ConfigError) -> str:
    if isinstance(error, GpuError):
        return error.short
    return "the machine has no machine id" if isinstance(error, ConfigError) else "its engine fails the self-test"
