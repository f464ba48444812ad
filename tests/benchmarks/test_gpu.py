"""benchmarks/gpu.py without a GPU: every part says what is missing; and its measuring code on stand-ins."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.cost.latency_model import Device
from benchmarks.gpu import PARTS, Job
from benchmarks.shared.gpu.cuda_calls import calls_of
from benchmarks.shared.gpu.engines import rows_of
from benchmarks.shared.gpu.model import device_of, table
from benchmarks.shared.gpu.verdicts import row
from tests.support.fake_nvidia import RTX, FakeDevice
from tests.support.host_driver import load_host_driver
from tests.support.tiny_bundle import picture, write_bundle

from edge_runtime.bundle.reader import open_bundle
from edge_runtime.engines.tensorrt.cuda_driver import CudaDriver
from edge_runtime.engines.tensorrt.errors import DriverMissingError
from edge_runtime.records import Precision

ROOT = Path(__file__).parents[2]


def no_driver(library):
    raise DriverMissingError("this machine has no NVIDIA driver")


def test_without_a_gpu_every_part_says_what_is_missing(tmp_path: Path) -> None:
    bundle, out = write_bundle(tmp_path / "bundle"), tmp_path / "gpu.md"
    found = subprocess.run(
        [sys.executable, "benchmarks/gpu.py", str(bundle), "--minutes", "15", "--out", str(out)],
        capture_output=True, text=True, timeout=600, cwd=ROOT,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout == out.read_text()
    parts = found.stdout.split("\n## ")[1:]
    assert [part.splitlines()[0] for part in parts] == [f"{n}. {part.title}" for n, part in enumerate(PARTS, 1)]
    assert all("missing" in part for part in parts), found.stdout
    assert "failed" not in found.stdout
    assert "| tiny-1.0 | brightness | fp32 | onnxruntime CPU | no | 0.0" in parts[2]
    assert "Traceback" not in found.stderr


def test_what_comes_after_the_time_is_over_is_skipped_also_when_it_is_started_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", str(write_bundle(tmp_path / "bundle")), "--minutes", "0.01"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert found.returncode == 0
    assert found.stdout.count("- skipped: the time is over") == len(PARTS)


@pytest.mark.parametrize(("version", "name"), [("10.3", "TensorRT 10.3.0"), (RTX, "TensorRT-RTX 1.7.1.116")])
def test_an_engine_is_measured_with_a_cuda_graph_and_without(version: str, name: str, tmp_path: Path) -> None:
    device, failed = FakeDevice(version), {}
    bundle = open_bundle(write_bundle(tmp_path / "bundle"))
    rows = [
        one
        for one in rows_of(bundle, tmp_path / "engines", failed, 0.02, device.nvidia)
        if one.engine.startswith("TensorRT")
    ]
    assert [(one.engine, one.graph) for one in rows] == [(name, True), (name, False)]
    assert all(one.golden < 0.01 and one.fps > 0 and one.p50_ms <= one.p90_ms <= one.p99_ms for one in rows)
    assert str(rows[0]).startswith(f"| tiny-1.0 | brightness | fp32 | {name} | yes | 0.000 | ")
    other = "TensorRT-RTX" if version == "10.3" else "TensorRT"
    assert failed[other].startswith(f"missing: {other} cannot be imported")
    assert device.open_contexts == 0


def test_an_engine_that_measures_something_else_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    device, failed = FakeDevice("10.3"), {}
    device.build_fails_with = ["Error Code 2: OutOfMemory"]
    bundle = open_bundle(write_bundle(tmp_path / "bundle"))
    rows = list(rows_of(bundle, tmp_path / "engines", failed, 0.02, device.nvidia))
    assert [one.engine for one in rows] == ["onnxruntime CPU"]
    assert "compiling ran out of memory" in failed["tiny-1.0 fp32 TensorRT"]


def test_cuda_is_tried_step_by_step_and_what_fails_is_said(tmp_path: Path) -> None:
    driver = load_host_driver(tmp_path)
    lines = list(calls_of("libcuda directly", CudaDriver(driver), driver))
    assert lines[0] == "- libcuda directly: Host GPU, compute capability 8.6"
    assert "pinned memory and a stream: the same bytes came back" in lines[1]
    assert "mapped memory: the GPU has it at 0x" in lines[2]
    assert lines[3] == "- libcuda directly: CUDA graph refused: the driver has no cuStreamBeginCapture_v2"
    assert (driver.contexts(), driver.current()) == (0, 0)
    driver.fail_after(6, 2)
    assert list(calls_of("libcuda directly", CudaDriver(driver), driver))[-1].endswith("out of memory (2)")


def test_the_latency_model_knows_a_gpu_by_what_its_driver_says(tmp_path: Path) -> None:
    device = device_of(CudaDriver(load_host_driver(tmp_path)))
    assert (device.name, device.cores, device.tensor) == ("Host GPU", 28 * 128, 28 * 512)
    assert device.clock_ghz == pytest.approx(1.777)
    assert device.memory_gb_s == pytest.approx(360, rel=0.01)  # NVIDIA's data sheet of the RTX 3060


def test_what_was_measured_stands_beside_the_model(tmp_path: Path) -> None:
    job = Job((write_bundle(tmp_path / "bundle"),), None, tmp_path, 10)
    device = Device("a GPU", 3584, 14336, 1, 1.777, 360)
    assert "| not measured |" in "\n".join(table(job, device))
    kept = {"bundle": "tiny-1.0", "precision": "fp32", "fps": 4000.0}
    slow, fast = {"engine": "onnxruntime CUDA", "p50_ms": 0.9}, {"engine": "TensorRT-RTX 1.7", "p50_ms": 0.25}
    (tmp_path / "engines.json").write_text(json.dumps([{**kept, **slow}, {**kept, **fast}]))
    (line,) = [one for one in table(job, device) if "tiny" in one]
    assert "| 0.250 | TensorRT-RTX 1.7 | 4000 |" in line


def test_verdicts_are_compared_with_the_exact_ones_and_with_fp32(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "bundle"))
    exact = {Precision.FP32: np.array([100.0, 127.0, 129.0, 200.0])}
    line = row(bundle, Precision.FP32, "an engine", exact, np.array([100.0, 129.0, 129.5, 200.0]))
    assert line.endswith("| 1 of 4 | 1 of 4 | 1.56% of the threshold |")


def test_torch_detectors_are_learned_and_timed_on_what_there_is() -> None:
    import torch
    from benchmarks.shared.gpu.torch_module import detectors, latencies, on_gpu
    from benchmarks.shared.gpu.training import trained

    pictures = np.stack([picture(False, seed, 64) for seed in range(24)])
    names = []
    for name, detector in detectors(pictures):
        names.append(name)
        assert latencies(on_gpu(detector, torch.from_numpy(pictures[:1]), half=False), 0.05).min() > 0
    assert names == ["patchcore", "cpr-faster"]
    seconds, precision = trained(pictures, 0, torch.device("cpu"), {"pool": 24, "steps": 8})
    assert seconds > 0
    assert 0 <= precision <= 100
