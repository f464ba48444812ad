"""NVIDIA's own modules of three versions, over empty libraries: what the fake claims of them, and our classes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tests.support.tensorrt_bindings import BINDINGS, has_compiler, run_with_bindings, surface_of, write_empty_libraries

SURFACES = Path(__file__).parents[2] / "support/tensorrt_surfaces"
OUR_CLASSES = """
import tensorrt_bindings as trt
from edge_runtime.engines.tensorrt.stack import message_collector
from edge_build.on_device.compiler_progress import progress_monitor
from edge_build.on_device.network import network_flags
from edge_build.progress import SilentProgress

messages = message_collector(trt)
messages.log(trt.ILogger.Severity.ERROR, "two\\n lines")
messages.log(trt.ILogger.Severity.INFO, "not kept")
assert (messages.errors, messages.warnings) == (["two lines"], []), messages.errors
monitor = progress_monitor(trt, SilentProgress())
monitor.phase_start("Building", None, 3)
assert monitor.step_complete("Building", 0) is True
monitor.phase_finish("Building")
assert network_flags(trt) == 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
try:
    trt.Builder(messages)
except TypeError as error:
    print("no builder:", error)
"""


@pytest.fixture(params=BINDINGS)
def version(request: pytest.FixtureRequest) -> str:
    if not has_compiler():
        pytest.skip("needs gcc to make libraries")
    if not BINDINGS[request.param].folder.exists():
        pytest.skip(f"{BINDINGS[request.param].folder} is not there: ./check installs it")
    return str(request.param)


def test_the_fake_offers_what_the_real_module_offers(version: str, tmp_path: Path) -> None:
    bindings = BINDINGS[version]
    real = json.loads(surface_of(bindings.folder, write_empty_libraries(tmp_path, bindings.major)))
    assert real == json.loads((SURFACES / f"{version}.json").read_text())


def test_our_logger_and_monitor_are_taken_by_the_real_module(version: str, tmp_path: Path) -> None:
    bindings = BINDINGS[version]
    libraries = write_empty_libraries(tmp_path, bindings.major)
    found = run_with_bindings(OUR_CLASSES, bindings.folder, libraries, *map(Path, sys.path))
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("no builder: pybind11::init(): factory function returned nullptr")
