"""libcuda called directly, in the place of pycuda: held to a driver in C, whose GPU is the host's memory."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.host_driver import load_host_driver

from edge_runtime.engines.tensorrt.cuda_driver import CudaDriver, CudaError, CudaMemoryError


@pytest.fixture
def cuda(tmp_path):
    made = CudaDriver(load_host_driver(tmp_path))
    made.init()
    return made


def test_a_device_says_what_it_is(cuda):
    device = cuda.Device(0)
    assert (device.name(), device.compute_capability()) == ("Host GPU", (8, 6))
    assert device.get_attribute(cuda.device_attribute.INTEGRATED) == 0
    with pytest.raises(CudaError, match=r"cuDeviceGet failed: made up \(101\)"):
        cuda.Device(1)


def test_a_picture_goes_to_the_gpu_and_comes_back(cuda):
    context = cuda.Device(0).make_context(cuda.ctx_flags.MAP_HOST)
    stream = cuda.Stream()
    host, back = cuda.pagelocked_empty((1, 4, 6, 3), np.uint8), cuda.pagelocked_empty((72,), np.uint8)
    host[...] = np.arange(72).reshape(host.shape)
    memory = cuda.mem_alloc(host.nbytes)
    cuda.memcpy_htod_async(memory, host, stream)
    cuda.memcpy_dtoh_async(back, memory, stream)
    stream.synchronize()
    assert back.tolist() == list(range(72))
    cuda.memcpy_htod(memory, np.full(72, 3, np.uint8))
    cuda.memcpy_dtoh_async(back, memory, stream)
    assert set(back.tolist()) == {3}
    memory.free()
    assert cuda.mem_get_info() == (512 << 20, 8192 << 20)
    context.detach()
    assert (cuda.library.contexts(), cuda.library.current()) == (0, 0)


def test_mapped_memory_has_an_address_on_the_gpu_too(cuda):
    context = cuda.Device(0).make_context()
    host = cuda.pagelocked_empty((2, 3), np.float32, mem_flags=cuda.host_alloc_flags.DEVICEMAP)
    assert host.base.get_device_pointer() == host.ctypes.data
    assert (host.shape, host.dtype) == ((2, 3), np.float32)
    context.detach()


def test_a_context_is_current_only_between_push_and_pop(cuda):
    context = cuda.Device(0).make_context()
    cuda.Context.pop()
    with pytest.raises(CudaError, match=r"cuMemAlloc_v2 failed: made up \(201\)"):
        cuda.mem_alloc(16)
    context.push()
    cuda.mem_alloc(16).free()
    cuda.Context.pop()
    context.detach()


def test_a_lack_of_memory_is_an_error_of_its_own_with_the_drivers_words(cuda):
    cuda.Device(0).make_context()
    with pytest.raises(CudaMemoryError, match=r"cuMemAlloc_v2 failed: out of memory \(2\)"):
        cuda.mem_alloc(1 << 41)


def test_a_call_that_an_old_driver_does_not_have_is_named(cuda):
    with pytest.raises(CudaError, match=r"the driver has no cuMagic: it is older than CUDA 11"):
        cuda.call("cuMagic")
