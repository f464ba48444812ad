"""The part of `pycuda.driver` that engines use, over libcuda itself: for machines where pip cannot build pycuda.

    cuda = CudaDriver(ctypes.CDLL("libcuda.so.1"))      # after cuInit
    context = cuda.Device(0).make_context()

pycuda is a source package that needs NVIDIA's toolkit and a compiler. An industrial PC with an RTX card has neither,
but its driver has all of this. Names and meanings are pycuda's, so that whoever is handed one of the two does not see
which. Memory and streams belong to the context that was current when they were made, and are freed with it. Source:
CUDA driver API reference; the numbers are those of cuda.h.
"""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

OUT_OF_MEMORY = 2
MAJOR, MINOR, INTEGRATED = 75, 76, 18  # of CUdevice_attribute
MAP_HOST, DEVICEMAP = 8, 2


class CudaError(Exception):
    """What the driver answered to a call."""


class CudaMemoryError(CudaError):
    """The GPU's memory, or the pinned part of the CPU's, is not enough."""


class CudaDriver:
    """In the place of the module `pycuda.driver`. Calls that need a context raise CudaError without one."""

    Error = CudaError
    MemoryError = CudaMemoryError
    ctx_flags = SimpleNamespace(MAP_HOST=MAP_HOST)
    host_alloc_flags = SimpleNamespace(DEVICEMAP=DEVICEMAP)
    device_attribute = SimpleNamespace(INTEGRATED=INTEGRATED)

    def __init__(self, library: Any) -> None:
        """library: libcuda, as ctypes loads it."""
        self.library = library
        self.Context = SimpleNamespace(pop=self._pop)

    def init(self) -> None:
        """Start the driver; once more does nothing."""
        self.call("cuInit", c_uint(0))

    def Device(self, number: int) -> _Device:  # noqa: N802  # pycuda's name
        """A GPU by its number."""
        handle = c_int()
        self.call("cuDeviceGet", byref(handle), c_int(number))
        return _Device(self, handle)

    def Stream(self) -> _Stream:  # noqa: N802
        """A queue of work in the current context."""
        return _Stream(self)

    def pagelocked_empty(
        self, shape: tuple[int, ...], dtype: DTypeLike, order: str = "C", mem_flags: int = 0
    ) -> NDArray[Any]:
        """An array in pinned memory; its `base` tells the GPU's address of it when mem_flags has DEVICEMAP."""
        return np.asarray(_HostAllocation(self, shape, np.dtype(dtype), mem_flags))

    def mem_alloc(self, size: int) -> _Allocation:
        """So many bytes of the GPU's memory."""
        return _Allocation(self, size)

    def mem_get_info(self) -> tuple[int, int]:
        """Free and all bytes of the GPU's memory."""
        free, total = c_size_t(), c_size_t()
        self.call("cuMemGetInfo_v2", byref(free), byref(total))
        return free.value, total.value

    def memcpy_htod(self, to: _Allocation, host: NDArray[Any]) -> None:
        """Copy an array to the GPU; done on return."""
        self.call("cuMemcpyHtoD_v2", c_uint64(int(to)), c_void_p(host.ctypes.data), c_size_t(host.nbytes))

    def memcpy_htod_async(self, to: _Allocation, host: NDArray[Any], stream: _Stream) -> None:
        """Enqueue such a copy; `host` must be pinned, and stay as it is until the stream has come to it."""
        size = c_size_t(host.nbytes)
        self.call("cuMemcpyHtoDAsync_v2", c_uint64(int(to)), c_void_p(host.ctypes.data), size, c_void_p(stream.handle))

    def memcpy_dtoh_async(self, host: NDArray[Any], source: _Allocation, stream: _Stream) -> None:
        """Enqueue a copy from the GPU into a pinned array."""
        data, size = c_void_p(host.ctypes.data), c_size_t(host.nbytes)
        self.call("cuMemcpyDtoHAsync_v2", data, c_uint64(int(source)), size, c_void_p(stream.handle))

    def call(self, name: str, *arguments: Any) -> None:
        """A call of the driver. Raises CudaError with the driver's words when it fails."""
        try:
            status = int(getattr(self.library, name)(*arguments))
        except AttributeError as error:
            raise CudaError(f"the driver has no {name}: it is older than CUDA 11") from error
        if status:
            words = c_char_p()
            self.library.cuGetErrorString(c_int(status), byref(words))
            kind = CudaMemoryError if status == OUT_OF_MEMORY else CudaError
            raise kind(f"{name} failed: {(words.value or b'unknown error').decode()} ({status})")

    def _pop(self) -> None:
        self.call("cuCtxPopCurrent_v2", byref(c_void_p()))


class _Device:
    def __init__(self, cuda: CudaDriver, handle: c_int) -> None:
        self._cuda, self._handle = cuda, handle

    def name(self) -> str:
        found = ctypes.create_string_buffer(256)
        self._cuda.call("cuDeviceGetName", found, c_int(len(found)), self._handle)
        return found.value.decode()

    def compute_capability(self) -> tuple[int, int]:
        return self.get_attribute(MAJOR), self.get_attribute(MINOR)

    def get_attribute(self, attribute: int) -> int:
        found = c_int()
        self._cuda.call("cuDeviceGetAttribute", byref(found), c_int(attribute), self._handle)
        return found.value

    def make_context(self, flags: int = 0) -> _Context:
        """A new context, current in the calling thread."""
        handle = c_void_p()
        self._cuda.call("cuCtxCreate_v2", byref(handle), c_uint(flags), self._handle)
        return _Context(self._cuda, handle)


class _Context:
    def __init__(self, cuda: CudaDriver, handle: c_void_p) -> None:
        self._cuda, self._handle = cuda, handle

    def push(self) -> None:
        self._cuda.call("cuCtxPushCurrent_v2", self._handle)

    def detach(self) -> None:
        """Destroy it with all that was made in it. Where it is current, it is popped."""
        self._cuda.call("cuCtxDestroy_v2", self._handle)


class _Stream:
    def __init__(self, cuda: CudaDriver) -> None:
        handle = c_void_p()
        cuda.call("cuStreamCreate", byref(handle), c_uint(0))
        self._cuda, self.handle = cuda, handle.value or 0

    def synchronize(self) -> None:
        self._cuda.call("cuStreamSynchronize", c_void_p(self.handle))


class _Allocation:
    def __init__(self, cuda: CudaDriver, size: int) -> None:
        address = c_uint64()
        cuda.call("cuMemAlloc_v2", byref(address), c_size_t(size))
        self._cuda, self._address = cuda, address.value

    def __int__(self) -> int:
        return self._address

    def free(self) -> None:
        self._cuda.call("cuMemFree_v2", c_uint64(self._address))


class _HostAllocation:
    def __init__(self, cuda: CudaDriver, shape: tuple[int, ...], kind: np.dtype[Any], flags: int) -> None:
        address, size = c_void_p(), int(np.prod(shape)) * kind.itemsize
        cuda.call("cuMemHostAlloc", byref(address), c_size_t(size), c_uint(flags))
        self._cuda, self._address = cuda, address
        self.__array_interface__ = {
            "data": (address.value, False),
            "shape": tuple(shape),
            "typestr": kind.str,
            "version": 3,
        }

    def get_device_pointer(self) -> int:
        found = c_uint64()
        self._cuda.call("cuMemHostGetDevicePointer_v2", byref(found), self._address, c_uint(0))
        return found.value
