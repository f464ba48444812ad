"""Part 7: the verdicts of FP16 and INT8 in the GPU's own arithmetic, against the CPU's exact one, on test pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.shared.gpu.engines import Find, identity
from benchmarks.shared.gpu.missing import MissingError
from edge_build.data.dataset import scan_dataset
from edge_build.data.pictures import Picture
from edge_build.graphs.emulated_engine import emulated_engine
from edge_build.on_device.compile import Settings, compile_engine
from edge_build.progress import SilentProgress
from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.engines.onnxruntime_engine import CUDA, OnnxruntimeEngine
from edge_runtime.engines.protocol import Engine
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.engines.tensorrt.opening import open_device_engine
from edge_runtime.engines.tensorrt.stack import find_nvidia
from edge_runtime.errors import EdgeError
from edge_runtime.imaging.reader import read_picture
from edge_runtime.records import Precision

if TYPE_CHECKING:
    from benchmarks.gpu import Job

MOST = 100  # pictures, spread over all of them


def lines(job: Job) -> Iterator[str]:
    """A row for each graph of the bundles that were built from --data. Raises MissingError without any."""
    if job.data is None:
        raise MissingError("--data: a category with test pictures, from which one of the bundles was built")
    bundles = [bundle for bundle in map(open_bundle, job.bundles) if bundle.manifest.dataset.name == job.data.name]
    if not bundles:
        raise MissingError(f"a bundle that was built from {job.data.name}")
    test = scan_dataset(job.data).test
    test = test[:: -(-len(test) // MOST) or 1]
    if not test:
        raise MissingError(f"test pictures in {job.data}")
    yield f"{len(test)} test pictures of {job.data.name}."
    yield ""
    yield "| bundle | detector | precision | engine | changed beside the CPU | beside FP32 on the CPU | score, most |"
    yield "|---|---|---|---|---:|---:|---:|"
    failed: list[str] = []
    started = time.monotonic()
    for bundle in bundles:
        exact: dict[Precision, NDArray[np.float64]] = {}
        for precision in bundle.manifest.graphs:
            if time.monotonic() - started > 0.8 * job.seconds:
                failed.append(f"skipped {bundle.label} {precision.value}: the time is over")
                continue
            with emulated_engine(bundle.graph(precision)) as engine:
                exact[precision] = scores_of(bundle, engine, test)
            try:
                with gpu_engine(bundle, precision, job, find_nvidia) as engine:
                    found = scores_of(bundle, engine, test)
                    yield row(bundle, precision, engine.name, exact, found)
            except EdgeError as error:
                failed.append(f"{bundle.label} {precision.value}: {error}")
    yield ""
    yield from (f"- {text}" for text in failed)


def gpu_engine(bundle: Bundle, precision: Precision, job: Job, find: Find) -> Engine:
    """TensorRT, TensorRT-RTX or onnxruntime's CUDA, whichever comes up first. Raises EdgeError of the last."""
    for library in Library:
        try:
            nvidia, cache = find(library), EngineCache(job.work / "engines", identity())
            compile_engine(bundle, precision, nvidia, cache, Settings(workspace_mb=512), SilentProgress())
            return open_device_engine(bundle, precision, nvidia, cache)
        except EdgeError:
            continue
    return OnnxruntimeEngine(bundle.graph(precision), provider=CUDA)


def scores_of(bundle: Bundle, engine: Engine, pictures: Sequence[Picture]) -> NDArray[np.float64]:
    """Raw scores, (pictures,)."""
    viewer = bundle.viewer()
    return np.array([engine.infer(viewer.see(read_picture(one.path)).picture[None]).score for one in pictures])


def row(
    bundle: Bundle,
    precision: Precision,
    engine: str,
    exact: dict[Precision, NDArray[np.float64]],
    found: NDArray[np.float64],
) -> str:
    """What changed, of how many."""
    limit, fp32 = bundle.threshold(precision).score, bundle.threshold(Precision.FP32).score
    beside_cpu = int(((found > limit) != (exact[precision] > limit)).sum())
    beside_fp32 = int(((found > limit) != (exact[Precision.FP32] > fp32)).sum())
    most = float(np.abs(found - exact[precision]).max()) / limit
    return (
        f"| {bundle.label} | {bundle.manifest.detector} | {precision.value} | {engine} "
        f"| {beside_cpu} of {len(found)} | {beside_fp32} of {len(found)} | {most:.2%} of the threshold |"
    )
