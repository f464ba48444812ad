"""From a bundle's graph to this device's engine: `edge-build compile`, run where the engine will serve.

    compiled = compile_engine(bundle, Precision.FP16, nvidia, cache, Settings(), progress)

It needs TensorRT and the bundle, and neither torch nor onnx. Precision lives in the graph: where TensorRT knows
strongly typed networks (10 and later) it keeps every type as it is there. Version 8 does not know them: it gets the
flags that allow what the graph asks for, and a constraint on every layer. What a version has is found by its names, not
by its number.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_build.on_device.implicit_int8 import ImplicitInt8
from edge_build.progress import Progress
from edge_runtime.bundle.reader import Bundle
from edge_runtime.engines.golden import replay_golden, require_same_verdicts
from edge_runtime.engines.tensorrt.engine import TensorrtEngine
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import (
    CompilerRefusedError,
    EngineAbsentError,
    EngineDamagedError,
    GpuError,
    OutOfMemoryError,
)
from edge_runtime.engines.tensorrt.stack import Nvidia, message_collector
from edge_runtime.errors import EngineError
from edge_runtime.records import Precision

MEBIBYTE = 1 << 20
MEMORY_SIGNS = ("outofmemory", "out of memory", "insufficient memory", "memory allocation", "cudaerrormemoryallocation")
MAKE_ROOM = (
    "Stop the station and the desktop (sudo systemctl isolate multi-user), give the compiler less (--workspace 256), "
    "or add swap."
)
SAY_EVERY_S = 5.0


@dataclass(frozen=True)
class Settings:
    """workspace_mb: what TensorRT may use for trying out kernels, in MiB. timing_cache: remember what was tried."""

    workspace_mb: int = 1024
    timing_cache: bool = True


@dataclass(frozen=True)
class Compiled:
    """What came of it. deviation: from the golden figures, as a share of the tolerance. seconds: 0 for one that was
    there already."""

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
    progress.say(f"compiling {bundle.label} {precision.value} for {nvidia.gpu} with TensorRT {nvidia.tensorrt_version}")
    if implicit is not None:
        progress.say(f"INT8 by {implicit.source}")
    graph = bundle.graph(precision if implicit is None else Precision.FP32).read_bytes()
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
        return None
    return Compiled(cache.path(key), cache.path(key).stat().st_size, name, deviation, 0.0)


def _proven(bundle: Bundle, nvidia: Nvidia, cache: EngineCache, key: EngineKey) -> tuple[str, float]:
    """The engine's name and its deviation on the golden pictures."""
    with TensorrtEngine(nvidia, cache.read(key), key) as engine:
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
        raise CompilerRefusedError(f"TensorRT {trt.__version__} does not start: {messages.last_errors()}") from error
    network = builder.create_network(_network_flags(trt, weakly=implicit is not None))
    parser = trt.OnnxParser(network, messages)
    if not parser.parse(graph):
        raise CompilerRefusedError(f"TensorRT {trt.__version__} does not take the graph: {_parser_errors(parser)}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mb * MEBIBYTE)
    # TF32 has the mantissa of FP16, and what is FP32 in a graph is so because FP16 cannot hold it (decisions/0013).
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for `edge-build inspect ENGINE`
    if implicit is None and not hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
        _allow_types(trt, network, config)
    monitor = _monitor(trt, progress) if hasattr(config, "progress_monitor") else None
    if monitor is not None:
        config.progress_monitor = monitor
    timing = _timing_cache(config, cache.read_timing(key), progress) if settings.timing_cache else None
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


def _network_flags(trt: Any, weakly: bool = False) -> int:
    """Strongly typed where TensorRT has it and is not to choose itself; else the explicit batch that 8 asks for."""
    known = trt.NetworkDefinitionCreationFlag
    name = "STRONGLY_TYPED" if hasattr(known, "STRONGLY_TYPED") and not weakly else "EXPLICIT_BATCH"
    return 1 << int(getattr(known, name))


def _allow_types(trt: Any, network: Any, config: Any) -> None:
    """Version 8 chooses precisions itself among those that are allowed: allow what the graph has, and hold it to that.

    What reads a dequantised tensor is left alone: TensorRT makes one INT8 layer of the three.
    """
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    kinds = {tensor.dtype for layer in layers for tensor in _outputs(layer)}
    if trt.DataType.INT8 in kinds:
        config.set_flag(trt.BuilderFlag.INT8)
    if trt.DataType.HALF not in kinds:
        return
    config.set_flag(trt.BuilderFlag.FP16)
    config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    quantised = {layer.name for layer in layers if trt.DataType.INT8 in (t.dtype for t in _tensors(layer))}
    dequantised = {tensor.name for layer in layers if layer.name in quantised for tensor in _outputs(layer)}
    for layer in layers:
        if layer.name in quantised or dequantised & {tensor.name for tensor in _tensors(layer)}:
            continue
        for number, tensor in enumerate(_outputs(layer)):
            if tensor.dtype in (trt.DataType.FLOAT, trt.DataType.HALF):
                layer.precision = tensor.dtype
                layer.set_output_type(number, tensor.dtype)


def _outputs(layer: Any) -> list[Any]:
    return [layer.get_output(number) for number in range(layer.num_outputs)]


def _tensors(layer: Any) -> list[Any]:
    given = [layer.get_input(number) for number in range(layer.num_inputs)]
    return [tensor for tensor in given if tensor is not None] + _outputs(layer)


def _timing_cache(config: Any, content: bytes, progress: Progress) -> Any:
    """What was measured before on this device; a cache that TensorRT does not take is started again, empty."""
    timing = config.create_timing_cache(content)
    if timing is None or not config.set_timing_cache(timing, False):
        progress.say("the timing cache does not fit this TensorRT: a new one is started")
        timing = config.create_timing_cache(b"")
        config.set_timing_cache(timing, False)
    return timing


def _monitor(trt: Any, progress: Progress) -> Any:
    """Says how far the compiler is, at most every few seconds; some phases have thousands of steps."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # a class of a library without types
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}
            self._last_said = time.monotonic()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            if time.monotonic() - self._last_said >= SAY_EVERY_S:
                self._last_said = time.monotonic()
                progress.say(f"  {phase_name}: {step + 1} of {self._steps.get(phase_name, 0)}")
            return True  # go on

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()


def _failure(nvidia: Nvidia, reason: str, settings: Settings) -> GpuError:
    """Out of memory is an error of its own: a person can do something about it."""
    if not any(sign in reason.lower() for sign in MEMORY_SIGNS):
        hint = "; a larger --workspace may help" if "could not find any implementation" in reason.lower() else ""
        return CompilerRefusedError(f"TensorRT {nvidia.tensorrt_version} does not compile the graph: {reason}{hint}")
    free, total = nvidia.free_memory()
    return OutOfMemoryError(
        f"compiling ran out of memory: {free // MEBIBYTE} MiB of {total // MEBIBYTE} are free now, and TensorRT was "
        f"allowed a workspace of {settings.workspace_mb} MiB. {MAKE_ROOM} TensorRT logged: {reason}"
    )


def _parser_errors(parser: Any) -> str:
    """Every error with its node; older versions do not know the node's name."""
    found = []
    for error in (parser.get_error(number) for number in range(parser.num_errors)):
        node = error.node_name() if hasattr(error, "node_name") else f"node {error.node()}"
        found.append(f"{node}: {' '.join(error.desc().split())}")
    return " | ".join(found)
