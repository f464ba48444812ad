"""Part 5: the paper's 1,016 FPS and the latency model's figures for this GPU, beside what part 3 measured here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import onnx

from benchmarks.cost.latency_model import LEAST_US, PAPER, PAPER_FPS, Device, bound_ms, estimate_ms
from benchmarks.shared.gpu.cuda_calls import load_driver
from edge_build.graphs.cost import kernels_of
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.engines.tensorrt.cuda_driver import CudaDriver

if TYPE_CHECKING:
    from benchmarks.gpu import Job

MULTIPROCESSORS, CLOCK_KHZ, MEMORY_KHZ, BUS_BITS = 16, 13, 36, 37  # of CUdevice_attribute
# FP32 lanes, and FP16 multiply-adds of the tensor cores in each clock, of a multiprocessor: NVIDIA's white papers
LANES = {"7.5": 64, "8.0": 64, "8.6": 128, "8.7": 128, "8.9": 128, "9.0": 128, "12.0": 128}
TENSOR = {"7.5": 512, "8.0": 1024, "8.6": 512, "8.7": 1024, "8.9": 512, "9.0": 2048, "12.0": 512}


def lines(job: Job) -> Iterator[str]:
    """A table: the model's bound and estimate, the best that was measured, and the paper's figure."""
    yield f"- the paper: CPR-Faster at 320 x 320, {PAPER_FPS} FPS with TensorRT on an {PAPER.name} (Li et al. 2024)"
    device = device_of(CudaDriver(load_driver()))
    yield (
        f"- this GPU by its driver: {device.name}, {device.cores} FP32 lanes, {device.tensor} FP16 multiply-adds of "
        f"tensor cores in a clock, {device.clock_ghz:.2f} GHz, {device.memory_gb_s:.0f} GB/s"
    )
    yield ""
    yield from table(job, device)


def table(job: Job, device: Device) -> Iterator[str]:
    """A row for each graph."""
    measured: list[dict[str, Any]] = job.kept("engines") or []
    yield "| bundle | detector | size | precision | bound ms | estimate ms | measured ms | by | FPS | paper's FPS |"
    yield "|---|---|---|---|---:|---:|---:|---|---:|---:|"
    for folder in job.bundles:
        bundle = open_bundle(folder)
        manifest = bundle.manifest
        for precision in manifest.graphs:
            kernels = kernels_of(onnx.load(bundle.graph(precision)))
            found = [row for row in measured if (row["bundle"], row["precision"]) == (bundle.label, precision.value)]
            best = min((row for row in found if row["engine"] != "onnxruntime CPU"), key=_p50, default=None)
            shown = f"{best['p50_ms']:.3f} | {best['engine']} | {best['fps']:.0f}" if best else "not measured | | "
            paper = str(PAPER_FPS) if manifest.detector == "cpr-faster" else ""
            yield (
                f"| {bundle.label} | {manifest.detector} | {manifest.height} x {manifest.width} | {precision.value} | "
                f"{bound_ms(device, kernels):.3f} | {estimate_ms(device, kernels, LEAST_US):.3f} | {shown} | {paper} |"
            )


def device_of(cuda: CudaDriver) -> Device:
    """The GPU's peaks, by what its driver says of it. An unknown architecture counts as Ada."""
    gpu = cuda.Device(0)
    compute = ".".join(map(str, gpu.compute_capability()))
    multiprocessors = gpu.get_attribute(MULTIPROCESSORS)
    memory_gb_s = 2 * gpu.get_attribute(MEMORY_KHZ) * 1e3 * gpu.get_attribute(BUS_BITS) / 8 / 1e9
    lanes, tensor = LANES.get(compute, LANES["8.9"]), TENSOR.get(compute, TENSOR["8.9"])
    clock_ghz = gpu.get_attribute(CLOCK_KHZ) / 1e6
    return Device(gpu.name(), multiprocessors * lanes, multiprocessors * tensor, 1, clock_ghz, memory_gb_s)


def _p50(row: dict[str, Any]) -> float:
    return float(row["p50_ms"])
