"""A recorded sequence of GPU work, launched as one. pycuda has no call for it, so the driver is called directly.

    graph = CudaGraph(driver, stream.handle, enqueue)   # `enqueue` is recorded, not run
    graph.launch()
    graph.close()

A small network is a hundred short kernels, and launching each costs the CPU as much as running it costs the GPU.
Source: CUDA driver API, "Stream Management" and "Graph Management".
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads' work does not spoil the recording


class CaptureRefusedError(Exception):
    """The driver or the enqueued work does not allow recording; the work can still be enqueued as it is."""


class CudaGraph:
    """What was enqueued on a stream. The CUDA context must be current for every call."""

    def __init__(self, driver: Any, stream: int, enqueue: Callable[[], None]) -> None:
        self._driver, self._stream = driver, ctypes.c_void_p(stream)
        self._graph = ctypes.c_void_p()
        self._executable = ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", self._stream, THREAD_LOCAL)
        try:
            enqueue()
        finally:
            ended = driver.cuStreamEndCapture(self._stream, ctypes.byref(self._graph))
        if ended:
            raise CaptureRefusedError(f"cuStreamEndCapture: {ended}")
        try:
            flags = ctypes.c_ulonglong(0)
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(self._executable), self._graph, flags)
        finally:
            driver.cuGraphDestroy(self._graph)

    def launch(self) -> None:
        """Enqueue the recorded work on the stream. Raises CaptureRefusedError."""
        self._call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        """Free it; `launch` must not be called any more."""
        self._driver.cuGraphExecDestroy(self._executable)

    def _call(self, name: str, *arguments: Any) -> None:
        try:
            status = getattr(self._driver, name)(*arguments)
        except AttributeError as error:  # a driver older than the function
            raise CaptureRefusedError(f"the driver has no {name}") from error
        if status:
            raise CaptureRefusedError(f"{name}: {status}")
