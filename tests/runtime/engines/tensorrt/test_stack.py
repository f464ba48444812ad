"""What is missing of NVIDIA's stack is said by name, in an order that cannot crash."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.support.fake_nvidia import FakeDevice

from edge_runtime.engines.tensorrt.errors import (
    DriverMissingError,
    PycudaMissingError,
    TensorrtMissingError,
    WrongVersionError,
)
from edge_runtime.engines.tensorrt.stack import find_nvidia


def without(device, name):
    def import_module(asked):
        if asked == name:
            raise ImportError(f"No module named '{name}'")
        return device.import_module(asked)

    return import_module


def test_everything_is_found_on_a_jetson():
    device = FakeDevice("10.3")
    found = find_nvidia(device.load_library, device.import_module)
    assert (found.gpu, found.compute, found.integrated, found.tensorrt_version) == ("Orin", "8.7", True, "10.3.0")
    assert found.free_memory() == (512 << 20, 8192 << 20)
    assert device.open_contexts == 0


def test_a_workstations_gpu_has_a_memory_of_its_own():
    device = FakeDevice("10.13", gpu="NVIDIA GeForce RTX 4090", compute=(8, 9), integrated=False)
    found = find_nvidia(device.load_library, device.import_module)
    assert (found.gpu, found.compute, found.integrated) == ("NVIDIA GeForce RTX 4090", "8.9", False)


def test_without_a_driver_nothing_else_is_touched():
    def load(name):
        raise OSError(f"{name}: cannot open shared object file")

    def import_module(name):
        raise AssertionError("TensorRT would end this process")

    with pytest.raises(DriverMissingError, match=r"no NVIDIA driver \(libcuda\.so\.1: cannot open") as refused:
        find_nvidia(load, import_module)
    assert refused.value.exit_code == 80


@pytest.mark.parametrize(("status", "words"), [(100, "no GPU is there"), (803, "different versions"), (4, "see cuda")])
def test_a_driver_that_does_not_start_says_why(status, words):
    device = FakeDevice("10.3")
    device.driver.status = status
    with pytest.raises(DriverMissingError, match=rf"does not start \(cuInit: {status}, .*{words}"):
        find_nvidia(device.load_library, device.import_module)


def test_a_missing_tensorrt_says_how_a_venv_sees_jetpacks():
    device = FakeDevice("10.3")
    with pytest.raises(TensorrtMissingError, match="--system-site-packages") as refused:
        find_nvidia(device.load_library, without(device, "tensorrt"))
    assert refused.value.exit_code == 81


def test_a_missing_pycuda_says_what_to_install():
    device = FakeDevice("10.3")
    with pytest.raises(PycudaMissingError, match=r"pip install '\.\[device\]'") as refused:
        find_nvidia(device.load_library, without(device, "pycuda.driver"))
    assert refused.value.exit_code == 82


def test_a_tensorrt_that_is_too_old_is_named():
    device = FakeDevice("8.6")
    old = SimpleNamespace(__version__="8.4.1", IExecutionContext=object)
    with pytest.raises(WrongVersionError, match=r"TensorRT 8\.4\.1 is too old: 8\.6 is the oldest") as refused:
        find_nvidia(device.load_library, lambda name: old)
    assert refused.value.exit_code == 83
