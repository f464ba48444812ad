"""`compile_engine` on a made-up device, with the names of every version of TensorRT, and its guard."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from tests.support.bundled_engine import put_engine
from tests.support.fake_nvidia import RTX, VERSIONS, FakeDevice
from tests.support.tiny_bundle import tiny_graph, write_bundle

from edge_build.on_device.child_process import ChildFailedError, in_child
from edge_build.on_device.compile import Settings, compile_engine
from edge_build.progress import SilentProgress
from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.bundle.receipt import write_receipt
from edge_runtime.bundle.trusted_key import TrustedKey
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import CompilerRefusedError, OutOfMemoryError
from edge_runtime.errors import ConfigError, EngineError
from edge_runtime.records import Precision

HERE = "0123456789abcdef" * 2


class Lines(SilentProgress):
    """Keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return open_bundle(write_bundle(tmp_path / "bundle"))


@pytest.fixture
def files(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines", HERE)


def compiled(device: FakeDevice, bundle: Bundle, files: EngineCache, output: Lines | None = None, **settings: object):
    return compile_engine(
        bundle, Precision.FP32, device.nvidia(), files, Settings(**settings), output or SilentProgress()
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_compiles_proves_and_keeps_an_engine(version: str, bundle: Bundle, files: EngineCache) -> None:
    device = FakeDevice(version)
    made = compiled(device, bundle, files, workspace_mb=256)

    assert made.path.name.endswith(f"-fp32-trt{device.surface['version']}-Orin-sm87.engine")
    assert made.size == made.path.stat().st_size
    assert made.deviation < 1e-3  # the graph itself: only the mean of three in another order
    assert device.network_flags == (["EXPLICIT_BATCH"] if version == "8.6" else ["STRONGLY_TYPED"])
    assert device.flags == ["no TF32"]
    assert device.workspace == 256 << 20
    assert device.open_contexts == 0


def test_an_engine_that_serves_is_not_compiled_again(bundle: Bundle, files: EngineCache) -> None:
    first = compiled(FakeDevice("10.3"), bundle, files)
    content = first.path.read_bytes()
    device = FakeDevice("10.3")
    device.build_fails_with = ["this compiler must not be asked"]

    again = compiled(device, bundle, files)

    assert (again.path, again.seconds) == (first.path, 0.0)
    assert again.path.read_bytes() == content


@pytest.mark.parametrize("damage", ["truncated", "another device's", "does not load"])
def test_an_engine_that_does_not_fit_is_set_aside_and_compiled_again(
    damage: str, bundle: Bundle, files: EngineCache
) -> None:
    device, output = FakeDevice("10.3"), Lines()
    first = compiled(device, bundle, files)
    if damage == "truncated":
        first.path.write_bytes(first.path.read_bytes()[:-1])
    elif damage == "another device's":
        first.path.unlink()
        compiled(device, bundle, EngineCache(files.folder, HERE[::-1]))
    else:
        key_bytes = first.path.read_bytes()
        device.loads_with = ["Version tag does not match"]
        with pytest.raises(EngineError, match="Version tag does not match"):  # nor does what is compiled now
            compiled(device, bundle, files, output)
        device.loads_with = []
        assert first.path.with_name(first.path.name + ".aside").read_bytes() == key_bytes
        return

    made = compiled(device, bundle, files, output)

    assert made.seconds > 0
    assert any(line.startswith(f"set aside as {made.path.name}.aside: ") for line in output.lines)
    assert compiled(device, bundle, files).seconds == 0.0


def test_another_version_compiles_its_own_beside_it(bundle: Bundle, files: EngineCache) -> None:
    paths = {compiled(FakeDevice(version), bundle, files).path for version in VERSIONS}
    assert len(paths) == len(VERSIONS)
    assert all(path.exists() for path in paths)


def test_the_timing_cache_is_kept_for_the_next_graph(bundle: Bundle, files: EngineCache) -> None:
    first = compiled(FakeDevice("10.3"), bundle, files)
    first.path.unlink()
    device = FakeDevice("10.3")
    compiled(device, bundle, files)
    assert device.offered_cache == b"measured by 10.3.0"


def test_a_timing_cache_that_tensorrt_does_not_take_is_started_again(bundle: Bundle, files: EngineCache) -> None:
    device, output = FakeDevice("10.3"), Lines()
    key = compiled(device, bundle, files)
    key.path.unlink()
    timing = next(files.folder.glob("*.timing"))
    files.write_timing(EngineKey.of(device.nvidia(), "0" * 64, Precision.FP32), b"of another driver")
    compiled(device, bundle, files, output)
    assert "the timing cache does not fit this TensorRT: a new one is started" in output.lines
    assert timing.read_bytes() == b"measured by 10.3.0"


def test_without_a_timing_cache_none_is_written(bundle: Bundle, files: EngineCache) -> None:
    compiled(FakeDevice("10.3"), bundle, files, timing_cache=False)
    assert list(files.folder.glob("*.timing")) == []


def test_a_graph_that_the_parser_refuses_is_reported_with_its_node(tmp_path: Path, files: EngineCache) -> None:
    broken = tiny_graph().replace(b"ReduceMax", b"ReduceMxx")
    for version, node in (("8.6", "node 7"), ("10.3", "the-node")):
        bundle = open_bundle(write_bundle(tmp_path / version, graph=broken))
        with pytest.raises(CompilerRefusedError, match=f"does not take the graph: {node}: .*ReduceMxx"):
            compiled(FakeDevice(version), bundle, files)
    assert not files.folder.exists()


def test_running_out_of_memory_says_how_much_there_was_and_what_to_do(bundle: Bundle, files: EngineCache) -> None:
    device = FakeDevice("10.3")
    device.build_fails_with = ["Error Code 2: OutOfMemory (Requested size was 2147483648 bytes.)"]
    with pytest.raises(OutOfMemoryError) as refused:
        compiled(device, bundle, files, workspace_mb=2048)
    message = str(refused.value)
    assert message.startswith("compiling ran out of memory: 512 MiB of 8192 are free now")
    assert "a workspace of 2048 MiB" in message
    assert "--workspace 256" in message
    assert "Requested size was 2147483648" in message
    assert refused.value.exit_code == 88


def test_what_the_compiler_says_is_in_the_error(bundle: Bundle, files: EngineCache) -> None:
    device = FakeDevice("10.3")
    device.build_fails_with = ["Error Code 10: Could not find any implementation for node {ForeignNode[/a.../b]}."]
    with pytest.raises(CompilerRefusedError, match=r"Could not find any implementation.*a larger --workspace may help"):
        compiled(device, bundle, files)


def test_an_engine_that_does_not_reproduce_the_golden_pictures_is_set_aside(tmp_path: Path, files: EngineCache) -> None:
    bundle, output = open_bundle(write_bundle(tmp_path / "wrong", golden_score=10.0)), Lines()
    with pytest.raises(EngineError, match="self-test failed: TensorRT"):
        compiled(FakeDevice("10.3"), bundle, files, output)
    assert [path.suffix for path in files.folder.glob("*.engine*")].count(".engine") == 0
    assert output.lines[-1].startswith("set aside: ")


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_version_8_is_held_to_the_types_of_the_graph(tmp_path: Path, precision: Precision, files: EngineCache) -> None:
    """The made-up network of a graph that is named fp16 or int8 has layers of these types."""
    graph = tiny_graph().replace(b"tiny", precision.value.encode())
    bundle = open_bundle(write_bundle(tmp_path / "bundle", graph=graph))
    device = FakeDevice("8.6")
    compiled(device, bundle, files)
    if precision is Precision.FP16:
        assert device.flags == ["no TF32", "FP16", "OBEY_PRECISION_CONSTRAINTS"]
        assert device.constrained == {"conv": "HALF", "island": "FLOAT"}
    else:
        assert device.flags == ["no TF32", "INT8", "FP16", "OBEY_PRECISION_CONSTRAINTS"]
        assert device.constrained == {"other conv": "HALF"}  # the rest becomes one INT8 layer


def test_newer_versions_need_no_flags_for_types(tmp_path: Path, files: EngineCache) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "bundle", graph=tiny_graph().replace(b"tiny", b"int8")))
    for version in VERSIONS[1:]:
        device = FakeDevice(version)
        compiled(device, bundle, files)
        assert (device.flags, device.constrained) == (["no TF32"], {})


def test_work_in_a_child_ends_as_it_ends() -> None:
    in_child(lambda: None, SilentProgress(), "nothing")


def test_an_error_in_the_child_is_reported_there_and_its_code_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise ConfigError("the recipe is wrong")

    with pytest.raises(ChildFailedError) as failed:
        in_child(work, SilentProgress(), "work")
    assert failed.value.exit_code == 78
    assert capfd.readouterr().err == "edge-build: the recipe is wrong\n"


def test_a_bug_in_the_child_shows_its_trace(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ChildFailedError) as failed:
        in_child(lambda: print(1 / 0), SilentProgress(), "work")
    assert failed.value.exit_code == 70
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_child_that_the_kernel_kills_ran_out_of_memory() -> None:
    with pytest.raises(OutOfMemoryError, match=r"compiling was killed, most likely by the kernel.*--workspace 256"):
        in_child(lambda: os.kill(os.getpid(), signal.SIGKILL), SilentProgress(), "compiling")


def test_a_child_that_crashes_does_not_take_the_parent_with_it() -> None:
    def crash() -> None:
        import faulthandler

        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)

    with pytest.raises(CompilerRefusedError, match="compiling crashed with SIGSEGV"):
        in_child(crash, SilentProgress(), "compiling")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_child_that_a_person_ends_is_no_fault_of_tensorrt(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        in_child(lambda: os.kill(os.getpid(), number), SilentProgress(), "compiling")


def test_long_work_is_never_silent() -> None:
    output = Lines()
    in_child(lambda: time.sleep(0.5), output, "compiling", say_every_s=0.1)
    assert output.lines
    assert output.lines[0].startswith("compiling goes on (")


def test_tensorrt_rtx_compiles_for_this_device_by_the_same_classes(bundle: Bundle, files: EngineCache) -> None:
    device, output = FakeDevice(RTX, "NVIDIA GeForce RTX 4090", (8, 9), integrated=False), Lines()
    made = compiled(device, bundle, files, output)
    assert made.path.name.endswith("-fp32-rtx1.7.1.116-NVIDIA_GeForce_RTX_4090-sm89.engine")
    assert made.engine == "TensorRT-RTX 1.7.1.116 (NVIDIA GeForce RTX 4090, fp32, CUDA graph)"
    assert output.lines[0] == "compiling tiny-1.0 fp32 for NVIDIA GeForce RTX 4090 with TensorRT-RTX 1.7.1.116"
    assert (device.computes, device.network_flags) == (["CURRENT"], ["STRONGLY_TYPED"])
    assert list(files.folder.glob("*.timing")) == []  # it tries nothing out
    assert len(list(files.folder.glob("*.runtime"))) == 1
    assert compiled(device, bundle, files).seconds == 0.0


def test_an_engine_in_an_installed_bundle_is_proven_and_not_compiled_again(tmp_path: Path, files: EngineCache) -> None:
    device = FakeDevice(RTX, "NVIDIA GeForce RTX 3060", (8, 6), integrated=False)
    device.build_fails_with = ["this compiler must not be asked"]
    folder = put_engine(write_bundle(tmp_path / "bundle"), device)
    write_receipt(folder, TrustedKey.of_bytes(bytes(32), folder), HERE)
    made = compiled(device, open_bundle(folder), files)
    assert (made.path, made.seconds) == (folder / "engines/engines.json", 0.0)
    assert [path.suffix for path in sorted(files.folder.iterdir())] == [".runtime", ".json"]


def test_an_engine_in_a_bundle_of_unknown_origin_is_not_used_and_one_is_compiled(
    tmp_path: Path, files: EngineCache
) -> None:
    device, output = FakeDevice(RTX, "NVIDIA GeForce RTX 3060", (8, 6), integrated=False), Lines()
    made = compiled(device, open_bundle(put_engine(write_bundle(tmp_path / "bundle"), device)), files, output)
    assert made.seconds > 0
    assert output.lines[0].startswith("the bundle's own engine is not used: bundle tiny-1.0 in ")
