"""`edge-build compile` as a process on a made-up device of each version: what it says, leaves and ends with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.calibrated_bundle import write_calibrated_bundle
from tests.support.fake_nvidia import VERSIONS
from tests.support.fake_stack import MARK, Mishap, write_stack
from tests.support.tiny_bundle import write_bundle

from edge_runtime.bundle.device_seal import machine_id
from edge_runtime.engines.tensorrt.engine_cache import EngineCache

COMMAND = [sys.executable, "-c", "from edge_build.cli import main; main()", "compile"]
LIMIT_S = 60
pytestmark = pytest.mark.skipif(not Path("/etc/machine-id").exists(), reason="this machine has no /etc/machine-id")


def compile_in(
    folder: Path, version: str, *options: object, mishap: Mishap = Mishap.NONE, bundle: Path | None = None
) -> subprocess.CompletedProcess[str]:
    bundle = bundle or write_bundle(folder / "bundle")
    arguments = [*COMMAND, bundle, "--engines", folder / "engines", *options]
    environment = write_stack(folder / "stack", version, mishap)
    return subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, timeout=LIMIT_S, env=environment, check=False
    )


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "engines").glob("*")) if (folder / "engines").exists() else []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bundle_becomes_a_sealed_engine_and_says_how_far_it_is(tmp_path: Path, version: str) -> None:
    found = compile_in(tmp_path, version)
    assert found.returncode == 0, found.stderr
    (engine,) = (tmp_path / "engines").glob("*.engine")
    assert found.stdout.startswith(f"{engine}: compiled in ")
    assert "reproduces the golden pictures, largest deviation 0.0" in found.stdout
    output = found.stderr.splitlines()
    assert output[0].startswith(f"compiling tiny-1.0 fp32 for Orin with TensorRT {version}")
    progress = ["  Building: 1 of 2", "  Building: 2 of 2"] if version != "8.6" else []  # 8.6 has no monitor
    assert output[1:] == progress
    record = EngineCache(tmp_path / "engines", machine_id()).record(engine)  # its seal is this machine's
    assert (record.length, record.precision) == (engine.stat().st_size, "fp32")
    assert {Path(name).suffix for name in left_in(tmp_path)} == {".engine", ".json", ".timing"}


@pytest.mark.parametrize("version", ["8.6", "11.4"])
def test_running_out_of_memory_ends_with_88_and_leaves_nothing(tmp_path: Path, version: str) -> None:
    found = compile_in(tmp_path, version, "--workspace", 2048, mishap=Mishap.OUT_OF_MEMORY)
    assert found.returncode == 88, found.stderr
    last = found.stderr.splitlines()[-1]
    assert last.startswith("edge-build: compiling ran out of memory: 512 MiB of 8192 are free now")
    assert "a workspace of 2048 MiB" in last
    assert "Traceback" not in found.stderr
    assert left_in(tmp_path) == []


def test_a_compiler_that_the_kernel_kills_ends_with_88_and_leaves_nothing(tmp_path: Path) -> None:
    found = compile_in(tmp_path, "10.13", mishap=Mishap.KILLED)
    assert found.returncode == 88, found.stderr
    assert "edge-build: compiling was killed, most likely by the kernel" in found.stderr
    assert left_in(tmp_path) == []


def test_without_a_driver_tensorrt_is_not_even_started(tmp_path: Path) -> None:
    found = compile_in(tmp_path, "10.3", mishap=Mishap.NO_DRIVER)
    assert found.returncode == 80, found.stderr
    assert found.stderr.startswith("edge-build: this machine has no NVIDIA driver (libcuda.so.1: ")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("mishap", [Mishap.HANGS_IN_COMPILER, Mishap.HANGS_IN_WRITING])
def test_ctrl_c_ends_the_compiler_and_leaves_nothing_half_written(tmp_path: Path, mishap: Mishap) -> None:
    bundle, stack = write_bundle(tmp_path / "bundle"), tmp_path / "stack"
    environment = write_stack(stack, "10.3", mishap)
    arguments = [*COMMAND, str(bundle), "--engines", str(tmp_path / "engines"), "--no-timing-cache"]
    running = subprocess.Popen(
        arguments, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait_for(stack / MARK, running)
        half = list((tmp_path / "engines").glob(".*.tmp"))
        assert len(half) == (mishap is Mishap.HANGS_IN_WRITING)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        out, err = running.communicate(timeout=LIMIT_S)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 130, err
    assert err.splitlines()[-1] == "edge-build: interrupted; what was half-written is removed"
    assert out == ""
    assert not (tmp_path / "engines").exists() or list((tmp_path / "engines").iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((stack / MARK).read_text()), 0)


def wait_for(mark: Path, running: subprocess.Popen[str]) -> None:
    until = time.monotonic() + LIMIT_S
    while not mark.exists():
        assert running.poll() is None, running.stderr.read() if running.stderr else ""
        assert time.monotonic() < until, "the compiler was never reached"
        time.sleep(0.02)


@pytest.mark.parametrize("version", VERSIONS[:3])
def test_implicit_calibration_is_one_option_of_compile(tmp_path: Path, version: str) -> None:
    bundle = write_calibrated_bundle(tmp_path / "bundle", tmp_path / "pictures")
    found = compile_in(
        *(tmp_path, version, "--precision", "int8", "--implicit-calibration", "minmax"),
        *("--calibration-pictures", tmp_path / "pictures"),
        bundle=bundle,
    )
    assert found.returncode == 0, found.stderr
    assert "INT8 by TensorRT's minmax calibration on 2 pictures" in found.stderr.splitlines()
    result, warning = found.stdout.splitlines()
    assert "(Orin, int8 by minmax calibration, CUDA graph) reproduces the golden pictures" in result
    assert warning.startswith("the precision gate has judged the bundle's INT8 graph, not these ranges: measure")
    assert warning.endswith("--precision int8 --engine tensorrt-minmax`")
    names = left_in(tmp_path)
    assert [Path(name).suffix for name in names].count(".calibration") == 1
    assert all("-int8-minmax-" in name for name in names if ".timing" not in name)


@pytest.mark.parametrize(
    ("version", "options", "code", "words"),
    [
        (
            "11.4",
            ("--precision", "int8", "--implicit-calibration", "entropy"),
            83,
            "has no IInt8EntropyCalibrator2 any",
        ),
        ("10.3", ("--implicit-calibration", "entropy"), 78, "makes INT8 alone: give --precision int8, too"),
        ("10.3", ("--calibration-pictures", "."), 78, "--calibration-pictures is for --implicit-calibration"),
        (
            "10.3",
            ("--precision", "int8", "--implicit-calibration", "entropy", "--calibration-pictures", "nowhere"),
            78,
            "2 of the 2 calibration pictures of bundle tiny-1.0 are not in nowhere",
        ),
    ],
    ids=["version 11", "no precision", "no calibrator", "no pictures"],
)
def test_what_cannot_be_calibrated_is_refused(
    tmp_path: Path, version: str, options: tuple[str, ...], code: int, words: str
) -> None:
    found = compile_in(tmp_path, version, *options, bundle=write_calibrated_bundle(tmp_path / "bundle"))
    assert found.returncode == code, found.stderr
    assert words in found.stderr
    assert "Traceback" not in found.stderr
    assert left_in(tmp_path) == []
