from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import wrong_graphs as wrong
from tests.support.fake_nvidia import VERSIONS, FakeDevice
from tests.support.tiny_bundle import write_bundle

from edge_build.on_device.compile import Settings, compile_engine
from edge_build.on_device.inspect_engine import engine_text
from edge_build.progress import SilentProgress
from edge_build.workflows.inspect_bundle import bundle_text
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.errors import EngineDamagedError
from edge_runtime.records import Precision

HERE = "0123456789abcdef" * 2


def test_a_bundle_is_described_by_its_graphs(tmp_path: Path) -> None:
    text = bundle_text(open_bundle(write_bundle(tmp_path / "bundle")), compile_too=False)
    lines = text.splitlines()
    assert lines[0] == "tiny-1.0  brightness, none, 64 x 64"
    assert lines[2].startswith("fp32  model.fp32.onnx, 0.0 MB, sha256 ")
    assert "multiply-adds (100% fp32) in 2 kernels that move 0.1 MB" in lines[3]
    assert "  operators: 1 Cast, 1 ReduceMean, 1 ReduceMax" in lines
    assert lines[-1] == "  TensorRT's rules, 8.6 and later: kept"


def test_what_tensorrt_would_refuse_is_reported_by_the_nodes_name(tmp_path: Path) -> None:
    graph = wrong.largest_512(k=4000).SerializeToString()
    text = bundle_text(open_bundle(write_bundle(tmp_path / "bundle", graph=graph)), compile_too=False)
    assert "  TensorRT's rules, 8.6 and later: 1 broken\n    the-TopK (TopK): K is 4000" in text


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="needs pip install '.[rtx]'")
def test_a_bundle_can_be_compiled_without_a_gpu(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "bundle"))
    assert "TensorRT-RTX 1." in bundle_text(bundle, compile_too=True).splitlines()[-1]
    graph = wrong.largest_512(k=4000).SerializeToString()
    bundle = open_bundle(write_bundle(tmp_path / "wrong", graph=graph))
    assert "does not compile the graph: " in bundle_text(bundle, compile_too=True).splitlines()[-1]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_is_described_by_its_layers_on_every_version(tmp_path: Path, version: str) -> None:
    device, bundle = FakeDevice(version), open_bundle(write_bundle(tmp_path / "bundle"))
    files = EngineCache(tmp_path / "engines", HERE)
    made = compile_engine(bundle, Precision.FP32, device.nvidia(), files, Settings(), SilentProgress())

    text = engine_text(made.path, device.nvidia, HERE)

    assert f"for Orin, compute capability 8.7, TensorRT {device.surface['version']}" in text
    assert "  4 layers:\n       3 CaskConvolution          FP16" in text
    assert "    CaskConvolution          FP16             conv 2" in engine_text(made.path, device.nvidia, HERE, True)
    assert device.open_contexts == 0


def test_an_engine_that_another_device_wrote_is_not_opened(tmp_path: Path) -> None:
    device, bundle = FakeDevice("10.3"), open_bundle(write_bundle(tmp_path / "bundle"))
    files = EngineCache(tmp_path / "engines", HERE)
    made = compile_engine(bundle, Precision.FP32, device.nvidia(), files, Settings(), SilentProgress())
    with pytest.raises(EngineDamagedError, match="was not written by this device"):
        engine_text(made.path, device.nvidia, HERE[::-1])


def test_the_command_takes_a_bundle_and_refuses_what_is_none(tmp_path: Path) -> None:
    def run(what: Path) -> subprocess.CompletedProcess[str]:
        program = "from edge_build.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", program, "inspect", str(what)],
            capture_output=True, text=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    assert run(write_bundle(tmp_path / "bundle")).stdout.startswith("tiny-1.0  brightness")
    assert (found := run(tmp_path)).returncode == 78
    assert "is no bundle" in found.stderr
    (tmp_path / "some.engine").write_bytes(b"from elsewhere")
    assert (found := run(tmp_path / "some.engine")).returncode in (78, 85)  # 78: this machine has no machine id
    assert "Traceback" not in found.stderr
