"""Part 3: every graph of every bundle by every engine that there is: golden pictures, latency, pictures a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_build.on_device.compile import Settings, compile_engine
from edge_build.progress import SilentProgress
from edge_runtime.bundle.device_seal import machine_id
from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.engines.golden import read_golden, replay_golden
from edge_runtime.engines.onnxruntime_engine import CPU, CUDA, TENSORRT, OnnxruntimeEngine
from edge_runtime.engines.protocol import Engine
from edge_runtime.engines.tensorrt.engine import TensorrtEngine
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.engines.tensorrt.opening import serialized_engine
from edge_runtime.engines.tensorrt.stack import Nvidia, find_nvidia
from edge_runtime.errors import ConfigError, EdgeError
from edge_runtime.records import Precision

if TYPE_CHECKING:
    from benchmarks.gpu import Job

PROVIDERS = {"onnxruntime CPU": CPU, "onnxruntime CUDA": CUDA, "onnxruntime TensorRT": TENSORRT}
HEAD = "| bundle | detector | precision | engine | CUDA graph | golden | p50 ms | p90 | p99 | FPS |\n" + (
    "|---|---|---|---|---|---:|---:|---:|---:|---:|"
)
WARM_UP = 20
LEAST_S, MOST_S = 0.3, 3.0
Find = Callable[[Library], Nvidia]


@dataclass(frozen=True)
class Row:
    """One engine with one graph. golden: largest deviation, as a share of the tolerance. fps: at batch 1."""

    bundle: str
    detector: str
    precision: str
    engine: str
    graph: bool
    golden: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    fps: float

    def __str__(self) -> str:
        times = f"{self.p50_ms:.3f} | {self.p90_ms:.3f} | {self.p99_ms:.3f} | {self.fps:.0f}"
        graph = "yes" if self.graph else "no"
        where = f"{self.bundle} | {self.detector} | {self.precision} | {self.engine} | {graph}"
        return f"| {where} | {self.golden:.3f} | {times} |"


def lines(job: Job) -> Iterator[str]:
    """The table, then what is missing or failed, each once."""
    yield HEAD
    failed: dict[str, str] = {}
    rows: list[Row] = []
    started = time.monotonic()
    for folder in job.bundles:
        for row in rows_of(open_bundle(folder), job.work / "engines", failed, slice_s(job, started), find_nvidia):
            rows.append(row)
            job.keep("engines", [asdict(one) for one in rows])
            yield str(row)
            if time.monotonic() - started > 0.9 * job.seconds:
                failed["the rest"] = "skipped: the time is over"
                break
    yield ""
    yield from (f"- {what}: {why}" for what, why in failed.items())


def slice_s(job: Job, started: float) -> float:
    """How long to measure each engine."""
    left = job.seconds - (time.monotonic() - started)
    return min(max(left / (len(job.bundles) * 3 * 8), LEAST_S), MOST_S)


def rows_of(bundle: Bundle, engines: Path, failed: dict[str, str], seconds: float, find: Find) -> Iterator[Row]:
    """Of one bundle. failed: gets why an engine is not among them."""
    stacks: dict[Library, Nvidia] = {}
    for library in Library:
        try:
            stacks[library] = find(library)
        except EdgeError as error:
            failed[library.label] = f"missing: {error}"
    for precision in bundle.manifest.graphs:
        for name, provider in PROVIDERS.items():
            if name in failed or (provider == CPU and precision is not Precision.FP32):
                continue
            try:
                with OnnxruntimeEngine(bundle.graph(precision), provider=provider) as engine:
                    yield measured(bundle, precision, name, engine, False, seconds)
            except EdgeError as error:
                failed[name if "does not bring up" in str(error) else f"{name} {precision.value}"] = str(error)
        for library, nvidia in stacks.items():
            try:
                yield from _compiled_rows(bundle, precision, nvidia, EngineCache(engines, identity()), seconds)
            except EdgeError as error:
                failed[f"{bundle.label} {precision.value} {library.label}"] = str(error)


def measured(bundle: Bundle, precision: Precision, name: str, engine: Engine, graph: bool, seconds: float) -> Row:
    """One engine: proven on the golden pictures first. Raises EngineError when it is not."""
    golden = replay_golden(bundle, engine, precision)
    pictures = [read_golden(bundle, one)[0] for one in bundle.manifest.golden]
    times = latencies(engine, pictures, seconds)
    p50, p90, p99 = (float(np.percentile(times, p)) for p in (50, 90, 99))
    return Row(
        *(bundle.label, bundle.manifest.detector, precision.value, name, graph, golden, p50, p90, p99),
        fps=float(1e3 / times.mean()),
    )


def latencies(engine: Engine, pictures: list[NDArray[np.uint8]], seconds: float) -> NDArray[np.float64]:
    """Milliseconds of every inference within this time, from a picture in memory to score and map in memory."""
    for number in range(WARM_UP):
        engine.infer(pictures[number % len(pictures)])
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        started = time.perf_counter()
        engine.infer(pictures[len(times) % len(pictures)])
        times.append(1e3 * (time.perf_counter() - started))
    return np.array(times)


def _compiled_rows(
    bundle: Bundle, precision: Precision, nvidia: Nvidia, cache: EngineCache, seconds: float
) -> Iterator[Row]:
    """With a CUDA graph and without."""
    compile_engine(bundle, precision, nvidia, cache, Settings(workspace_mb=512), SilentProgress())
    key = EngineKey.of(nvidia, bundle.graph_sha256(precision), precision)
    serialized, runtime = serialized_engine(bundle, key, cache), cache.read_runtime(key)
    for capture in (True, False):
        with ExitStack() as stack:
            engine = stack.enter_context(TensorrtEngine(nvidia, serialized, key, runtime, capture))
            graph = "CUDA graph" in engine.name
            if capture == graph:
                yield measured(bundle, precision, nvidia.product, engine, graph, seconds)


def identity() -> str:
    """This machine's id; a container may have none, and the engines of a benchmark are thrown away."""
    try:
        return machine_id()
    except ConfigError:
        return "0" * 32
