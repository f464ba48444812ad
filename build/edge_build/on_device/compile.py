"""From a bundle's graph to this device's engine: `edge-build compile`, run where the engine will serve.

    compiled = compile_engine(bundle, Precision.FP16, nvidia, cache, Settings(), progress)

It needs TensorRT or TensorRT-RTX and the bundle, and neither torch nor onnx. Precision lives in the graph (network.py).
An engine of TensorRT-RTX that came in the bundle is not compiled again: it is loaded, which finishes it, and proven.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_build.on_device.compiler_progress import progress_monitor
from edge_build.on_device.implicit_int8 import ImplicitInt8
from edge_build.on_device.network import MEBIBYTE, network_of_graph
from edge_build.progress import Progress
from edge_runtime.bundle.reader import Bundle
from edge_runtime.bundle.receipt import INDEX
from edge_runtime.engines.golden import replay_golden, require_same_verdicts
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import (
    CompilerRefusedError,
    EngineAbsentError,
    EngineDamagedError,
    GpuError,
    OutOfMemoryError,
)
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.engines.tensorrt.opening import open_engine, serialized_engine
from edge_runtime.engines.tensorrt.stack import Nvidia, message_collector
from edge_runtime.errors import EngineError
from edge_runtime.records import Precision

MEMORY_SIGNS = ("outofmemory", "out of memory", "insufficient memory", "memory allocation", "cudaerrormemoryallocation")
MAKE_ROOM = (
    "Stop the station and the desktop (sudo systemctl isolate multi-user), give the compiler less (--workspace 256), "
    "or add swap."
)


@dataclass(frozen=True)
class Settings:
    """workspace_mb: what TensorRT may use for trying out kernels, in MiB. timing_cache: remember what was tried."""

    workspace_mb: int = 1024
    timing_cache: bool = True


@dataclass(frozen=True)
class Compiled:
    """What came of it. deviation: from the golden figures, as a share of the tolerance. seconds: 0 for one that was
    there already, or came in the bundle."""

    path: Path
    size: int
    engine: str
    deviation: float
    seconds: float


def compile_engine(
    bundle: Bundle,
    precision: Precision,
    nvidia: Nvidia,
    cache: EngineCache,
    settings: Settings,
    progress: Progress,
    implicit: ImplicitInt8 | None = None,
) -> Compiled:
    """Compile one precision, keep it, load it, and prove it on the golden pictures.

    An engine that is there and passes stays; one that does not fit is set aside and compiled again. Raises
    CompilerRefusedError, OutOfMemoryError, or EngineError when the golden pictures are not reproduced; nothing that
    fails is left to be loaded. implicit: the FP32 graph, calibrated by TensorRT, in the place of the INT8 graph.
    """
    key = EngineKey.of(nvidia, bundle.graph_sha256(precision), precision) if implicit is None else implicit.key
    found = _kept(bundle, nvidia, cache, key, implicit, progress)
    if found is not None:
        return found
    started = time.monotonic()
    progress.say(f"compiling {bundle.label} {precision.value} for {nvidia.gpu} with {nvidia.product}")
    if implicit is not None:
        progress.say(f"INT8 by {implicit.source}")
    graph = bundle.graph_bytes(precision if implicit is None else Precision.FP32)
    serialized = _built(graph, nvidia, cache, key, settings, implicit, progress)
    path = cache.write(key, serialized, "" if implicit is None else implicit.ranges)
    try:
        name, deviation = _proven(bundle, nvidia, cache, key)
    except EngineError as error:
        progress.say(f"set aside: {cache.set_aside(key)}")
        if implicit is not None and not isinstance(error, GpuError):  # building again would give the same
            raise EngineError(f"{error}. {implicit.advice}") from error
        raise
    return Compiled(path, len(serialized), name, deviation, time.monotonic() - started)


def _kept(
    bundle: Bundle,
    nvidia: Nvidia,
    cache: EngineCache,
    key: EngineKey,
    implicit: ImplicitInt8 | None,
    progress: Progress,
) -> Compiled | None:
    """The engine that is there already, if it serves."""
    try:
        path = cache.path(key)
        if implicit is not None and path.exists() and cache.record(path).ranges != implicit.ranges:
            raise EngineDamagedError(f"{path.name} was compiled with other INT8 ranges")
        name, deviation = _proven(bundle, nvidia, cache, key)
    except EngineAbsentError:
        return None
    except EngineError as error:
        if cache.path(key).exists():
            progress.say(f"set aside as {cache.set_aside(key).name}: {error}")
        elif INDEX in bundle.manifest.files:
            progress.say(f"the bundle's own engine is not used: {error}")
        return None
    where = cache.path(key) if cache.path(key).exists() else bundle.folder / INDEX
    return Compiled(where, len(serialized_engine(bundle, key, cache)), name, deviation, 0.0)


def _proven(bundle: Bundle, nvidia: Nvidia, cache: EngineCache, key: EngineKey) -> tuple[str, float]:
    """The engine's name and its deviation on the golden pictures."""
    with open_engine(bundle, key, nvidia, cache) as engine:
        off = replay_golden(bundle, engine, key.precision)
        if key.calibration:
            require_same_verdicts(bundle, engine, key.precision)
        return engine.name, off


def _built(
    graph: bytes,
    nvidia: Nvidia,
    cache: EngineCache,
    key: EngineKey,
    settings: Settings,
    implicit: ImplicitInt8 | None,
    progress: Progress,
) -> bytes:
    trt, messages = nvidia.trt, message_collector(nvidia.trt)
    try:
        builder = trt.Builder(messages)
    except TypeError as error:  # what pybind11 makes of a null pointer
        raise CompilerRefusedError(f"{nvidia.product} does not start: {messages.last_errors()}") from error
    network, config = network_of_graph(trt, builder, graph, messages, nvidia.product, weakly=implicit is not None)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mb * MEBIBYTE)
    monitor = progress_monitor(trt, progress) if hasattr(config, "progress_monitor") else None
    if monitor is not None:
        config.progress_monitor = monitor
    timing = None
    if nvidia.library is Library.TENSORRT_RTX:  # it tries nothing out, and compiles for what it is told to
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.CURRENT, 0)
    elif settings.timing_cache:
        timing = _timing_cache(config, cache.read_timing(key), progress)
    if implicit is None:
        serialized = builder.build_serialized_network(network, config)
    else:
        serialized = _built_calibrated(builder, network, config, nvidia, implicit)
    del monitor  # it had to live until here: TensorRT keeps no reference
    if serialized is None:
        raise _failure(nvidia, messages.last_errors(), settings)
    if timing is not None:
        cache.write_timing(key, bytes(timing.serialize()))
    return bytes(serialized)


def _built_calibrated(builder: Any, network: Any, config: Any, nvidia: Nvidia, implicit: ImplicitInt8) -> Any:
    """The plan, with INT8 as TensorRT calibrates it, in a CUDA context of its own: it is fed through pycuda."""
    context = nvidia.cuda.Device(0).make_context()
    try:
        calibrator = implicit.attach(network, config)
        serialized = builder.build_serialized_network(network, config)
        if serialized is not None:
            implicit.keep(calibrator)
        calibrator.free()
        return serialized
    finally:
        context.detach()


def _timing_cache(config: Any, content: bytes, progress: Progress) -> Any:
    """What was measured before on this device; a cache that TensorRT does not take is started again, empty."""
    timing = config.create_timing_cache(content)
    if timing is None or not config.set_timing_cache(timing, False):
        progress.say("the timing cache does not fit this TensorRT: a new one is started")
        timing = config.create_timing_cache(b"")
        config.set_timing_cache(timing, False)
    return timing


def _failure(nvidia: Nvidia, reason: str, settings: Settings) -> GpuError:
    """Out of memory is an error of its own: a person can do something about it."""
    if not any(sign in reason.lower() for sign in MEMORY_SIGNS):
        hint = "; a larger --workspace may help" if "could not find any implementation" in reason.lower() else ""
        return CompilerRefusedError(f"{nvidia.product} does not compile the graph: {reason}{hint}")
    free, total = nvidia.free_memory()
    return OutOfMemoryError(
        f"compiling ran out of memory: {free // MEBIBYTE} MiB of {total // MEBIBYTE} are free now, and TensorRT was "
        f"allowed a workspace of {settings.workspace_mb} MiB. {MAKE_ROOM} TensorRT logged: {reason}"
    )
