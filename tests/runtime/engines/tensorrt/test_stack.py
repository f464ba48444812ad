"""What is missing of NVIDIA's stack is said by name, in an order that cannot crash."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.support.fake_nvidia import RTX, FakeDevice
from tests.support.host_driver import load_host_driver

from edge_runtime.engines.tensorrt.cuda_driver import CudaDriver
from edge_runtime.engines.tensorrt.errors import DriverMissingError, TensorrtMissingError, WrongVersionError
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.engines.tensorrt.stack import find_nvidia


def without(device, name):
    def import_module(asked):
        if asked == name:
            raise ImportError(f"No module named '{name}'")
        return device.import_module(asked)

    return import_module


def test_everything_is_found_on_a_jetson():
    device = FakeDevice("10.3")
    found = find_nvidia(Library.TENSORRT, device.load_library, device.import_module)
    assert (found.gpu, found.compute, found.integrated, found.product) == ("Orin", "8.7", True, "TensorRT 10.3.0")
    assert found.free_memory() == (512 << 20, 8192 << 20)
    assert device.open_contexts == 0


def test_a_workstations_gpu_has_a_memory_of_its_own():
    device = FakeDevice("10.13", gpu="NVIDIA GeForce RTX 4090", compute=(8, 9), integrated=False)
    found = find_nvidia(Library.TENSORRT, device.load_library, device.import_module)
    assert (found.gpu, found.compute, found.integrated) == ("NVIDIA GeForce RTX 4090", "8.9", False)


def test_without_a_driver_nothing_else_is_touched():
    def load(name):
        raise OSError(f"{name}: cannot open shared object file")

    def import_module(name):
        raise AssertionError("TensorRT would end this process")

    with pytest.raises(DriverMissingError, match=r"no NVIDIA driver \(libcuda\.so\.1: cannot open") as refused:
        find_nvidia(Library.TENSORRT, load, import_module)
    assert refused.value.exit_code == 80


@pytest.mark.parametrize(("status", "words"), [(100, "no GPU is there"), (803, "different versions"), (4, "see cuda")])
def test_a_driver_that_does_not_start_says_why(status, words):
    device = FakeDevice("10.3")
    device.driver.status = status
    with pytest.raises(DriverMissingError, match=rf"does not start \(cuInit: {status}, .*{words}"):
        find_nvidia(Library.TENSORRT, device.load_library, device.import_module)


def test_a_missing_tensorrt_says_how_a_venv_sees_jetpacks():
    device = FakeDevice("10.3")
    with pytest.raises(TensorrtMissingError, match="--system-site-packages") as refused:
        find_nvidia(Library.TENSORRT, device.load_library, without(device, "tensorrt"))
    assert refused.value.exit_code == 81


def test_tensorrt_rtx_is_found_by_its_own_module():
    device = FakeDevice(RTX, gpu="NVIDIA GeForce RTX 4090", compute=(8, 9), integrated=False)
    found = find_nvidia(Library.TENSORRT_RTX, device.load_library, device.import_module)
    assert (found.product, found.library) == ("TensorRT-RTX 1.7.1.116", Library.TENSORRT_RTX)


def test_a_missing_tensorrt_rtx_says_what_pip_installs():
    device = FakeDevice(RTX)
    with pytest.raises(TensorrtMissingError, match=r"TensorRT-RTX cannot be imported .*pip install '\.\[rtx\]'"):
        find_nvidia(Library.TENSORRT_RTX, device.load_library, without(device, "tensorrt_rtx"))


def test_without_pycuda_the_driver_is_called_directly(tmp_path, caplog):
    caplog.set_level("INFO")
    driver = load_host_driver(tmp_path)
    device = FakeDevice("10.3")
    found = find_nvidia(Library.TENSORRT, lambda name: driver, without(device, "pycuda.driver"))
    assert isinstance(found.cuda, CudaDriver)
    assert (found.gpu, found.compute, found.integrated) == ("Host GPU", "8.6", False)
    assert found.free_memory() == (512 << 20, 8192 << 20)
    assert "no pycuda (No module named 'pycuda.driver'): the driver is called directly" in caplog.text


def test_a_driver_that_knows_no_gpu_says_so(tmp_path):
    driver = load_host_driver(tmp_path)
    driver.fail_after(2, 101)
    device = FakeDevice("10.3")
    with pytest.raises(DriverMissingError, match=r"does not say which GPU it has: cuDeviceGet failed: made up \(101\)"):
        find_nvidia(Library.TENSORRT, lambda name: driver, without(device, "pycuda.driver"))


def test_a_tensorrt_that_is_too_old_is_named():
    device = FakeDevice("8.6")
    old = SimpleNamespace(__version__="8.4.1", IExecutionContext=object)
    with pytest.raises(WrongVersionError, match=r"TensorRT 8\.4\.1 is too old: 8\.6 is the oldest") as refused:
        find_nvidia(Library.TENSORRT, device.load_library, lambda name: old)
    assert refused.value.exit_code == 83
