"""Part 4: our detectors as torch modules on the GPU, in FP16 and in a CUDA graph: what a program without ONNX gets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.shared.gpu.missing import MissingError
from benchmarks.shared.gpu.pictures import good_pictures
from edge_build.detectors.cpr.learner import CprLearner
from edge_build.detectors.cpr.model import DIMENSIONS
from edge_build.detectors.patchcore.learner import PatchcoreLearner
from edge_build.progress import SilentProgress
from edge_build.recipe.detector_settings import CprSettings, PatchcoreSettings

if TYPE_CHECKING:
    from benchmarks.gpu import Job

PICTURES, SIZE = 40, 256
HEAD = "| detector | in torch | p50 ms | p90 | p99 | FPS |\n|---|---|---:|---:|---:|---:|"


def lines(job: Job) -> Iterator[str]:
    """A table. What is learned does not matter for the time, so it is learned in seconds."""
    if not torch.cuda.is_available():
        raise MissingError(f"torch {torch.__version__} sees no GPU: pip install a torch that was built with CUDA")
    pictures = good_pictures(job.data, job.work, PICTURES, SIZE)
    yield HEAD
    for name, detector in detectors(pictures):
        image = torch.from_numpy(pictures[:1]).cuda()
        detector = detector.cuda().eval()
        for half in (False, True):
            call = on_gpu(detector, image, half)
            yield _row(name, f"{'FP16' if half else 'FP32'}, call by call", latencies(call))
            try:
                yield _row(name, f"{'FP16' if half else 'FP32'}, CUDA graph", latencies(in_graph(call)))
            except RuntimeError as error:
                yield f"| {name} | CUDA graph refused: {str(error).splitlines()[0]} | | | | |"


def detectors(pictures: NDArray[np.uint8], steps: int = 8) -> Iterator[tuple[str, nn.Module]]:
    """Both, learned from good pictures (n, H, W, 3)."""
    rows = range(len(pictures))
    bank = PatchcoreSettings.model_validate({"bank": {"entries": 50 * len(pictures)}})
    yield "patchcore", PatchcoreLearner(pictures, bank, 0, SilentProgress()).learn(rows)
    settings = CprSettings.model_validate({"pool": 2 * len(pictures), "steps": steps})
    yield "cpr-faster", CprLearner(pictures, settings, DIMENSIONS["cpr-faster"], 0, SilentProgress()).learn(rows)


def on_gpu(detector: nn.Module, image: torch.Tensor, half: bool) -> Callable[[], None]:
    """A call that measures the picture on its device; what it enqueues is not waited for."""

    def call() -> None:
        with torch.inference_mode(), torch.autocast(image.device.type, torch.float16, enabled=half):
            detector(image)

    return call


def in_graph(call: Callable[[], None]) -> Callable[[], None]:
    """The same, recorded. Raises RuntimeError when torch cannot record it."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch types it nowhere
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def latencies(call: Callable[[], None], seconds: float = 1.5) -> NDArray[np.float64]:
    """Milliseconds of each, finished on the GPU, after a warm-up."""
    for _ in range(10):
        call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        started = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - started))
    return np.array(times)


def _row(name: str, how: str, times: NDArray[np.float64]) -> str:
    p50, p90, p99 = np.percentile(times, [50, 90, 99])
    return f"| {name} | {how} | {p50:.3f} | {p90:.3f} | {p99:.3f} | {1e3 / times.mean():.0f} |"
