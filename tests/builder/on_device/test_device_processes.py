"""The command lines as processes on machines that lack a part of NVIDIA's stack: a message and a code, never a crash.

What is missing is made missing: empty libraries stand in for the driver, NVIDIA's own module for TensorRT.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.tensorrt_bindings import BINDINGS, has_compiler, write_empty_libraries
from tests.support.tiny_bundle import write_bundle

COMPILE = "from edge_build.cli import main; main()"
DAEMON = "from edge_runtime.cli import main; main()"
DRIVER = "int cuInit(unsigned flags) { return %d; }\n"
NO_TORCH = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "sklearn", "scipy", "jinja2"}:
            raise ImportError(f"{name} is not on a device")
sys.meta_path.insert(0, Blocker())
"""


def has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


pytestmark = [
    pytest.mark.skipif(has_driver(), reason="this machine has an NVIDIA driver"),
    pytest.mark.skipif(not Path("/etc/machine-id").exists(), reason="this machine has no /etc/machine-id"),
]
needs_gcc = pytest.mark.skipif(not has_compiler(), reason="needs gcc to make libraries")


def run(program: str, *arguments: object, libraries: Path | None = None, path: tuple[Path, ...] = ()):
    environment = dict(os.environ)
    if libraries is not None:
        environment["LD_LIBRARY_PATH"] = str(libraries)
    environment["PYTHONPATH"] = ":".join([*map(str, path), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip


def compile_in(folder: Path, **where: object):
    bundle = write_bundle(folder / "bundle")
    return run(NO_TORCH + COMPILE, "compile", bundle, "--engines", folder / "engines", **where)


def write_driver(folder: Path, status: int) -> Path:
    """A libcuda whose cuInit gives this status."""
    folder.mkdir()
    (folder / "cuda.c").write_text(DRIVER % status)
    command = ["gcc", "-shared", "-fPIC", "-o", str(folder / "libcuda.so.1"), "-Wl,-soname,libcuda.so.1"]
    subprocess.run([*command, str(folder / "cuda.c")], check=True)
    return folder


def test_compile_without_a_driver_needs_no_host_package_and_says_what_is_missing(tmp_path: Path) -> None:
    found = compile_in(tmp_path)
    assert found.returncode == 80
    assert found.stderr.startswith("edge-build: this machine has no NVIDIA driver (libcuda.so.1: ")
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "engines").exists()


@needs_gcc
@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(100, 80, "the NVIDIA driver does not start (cuInit: 100, no GPU"), (0, 81, "TensorRT cannot be imported")],
    ids=["no GPU", "no tensorrt"],
)
def test_compile_with_a_driver_says_what_else_is_missing(tmp_path: Path, status: int, code: int, words: str) -> None:
    found = compile_in(tmp_path, libraries=write_driver(tmp_path / "libraries", status))
    assert found.returncode == code, found.stderr
    assert found.stderr.startswith(f"edge-build: {words}")
    assert "Traceback" not in found.stderr


@needs_gcc
@pytest.mark.parametrize("version", BINDINGS)
def test_compile_with_nvidias_module_and_without_pycuda_asks_the_driver_itself(tmp_path: Path, version: str) -> None:
    bindings = BINDINGS[version]
    if not bindings.folder.exists():
        pytest.skip(f"{bindings.folder} is not there: ./check installs it")
    libraries = write_empty_libraries(write_driver(tmp_path / "libraries", 0), bindings.major)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/tensorrt.py").write_text("from tensorrt_bindings import *\n")
    (tmp_path / "modules/pycuda.py").write_text("raise ImportError('made missing')\n")
    found = compile_in(tmp_path, libraries=libraries, path=(tmp_path / "modules", bindings.folder))
    assert found.returncode == 80, found.stderr  # this driver knows cuInit alone
    assert found.stderr.startswith(
        "edge-build: the NVIDIA driver does not say which GPU it has: the driver has no cuDev"
    )


def test_a_station_that_asks_for_tensorrt_by_name_ends_with_the_code_of_what_is_missing(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    for engine, code, words in (
        ("tensorrt", 80, "edge-daemon: this machine has no NVIDIA driver"),
        ("auto", 0, ""),
        ("onnxruntime", 0, ""),
    ):
        found = run(DAEMON, "selftest", bundle, "--engine", engine, "--engines", tmp_path / "engines")
        assert found.returncode == code, found.stderr
        assert found.stderr.startswith(words)
        if engine == "auto":
            (line,) = [line for line in found.stdout.splitlines() if line.startswith("engine ")]
            assert line.endswith("(CPU), auto: no NVIDIA driver or GPU")
            assert "libcuda" not in found.stdout


def test_why_auto_does_not_take_tensorrt_is_reported_in_full_when_asked(tmp_path: Path) -> None:
    found = run(DAEMON, "selftest", write_bundle(tmp_path / "bundle"), "--verbose")
    assert found.returncode == 0, found.stderr
    assert "         this machine has no NVIDIA driver (libcuda.so.1: " in found.stdout
