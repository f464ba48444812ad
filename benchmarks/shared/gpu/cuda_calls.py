"""Part 2: contexts, pinned and mapped memory, streams and graphs, as our engine uses them: by pycuda and without it."""

from __future__ import annotations

import ctypes
import importlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.shared.gpu.missing import MissingError
from edge_runtime.engines.tensorrt.cuda_driver import CudaDriver
from edge_runtime.engines.tensorrt.cuda_graph import CaptureRefusedError, CudaGraph
from edge_runtime.engines.tensorrt.stack import DRIVER

if TYPE_CHECKING:
    from benchmarks.gpu import Job

SIZE = 320 * 320 * 3  # bytes of a picture
ROUNDS = 200


def lines(job: Job) -> Iterator[str]:
    """What works, by each way to CUDA. Raises MissingError without a driver."""
    driver = load_driver()
    yield from calls_of("libcuda directly", CudaDriver(driver), driver)
    try:
        pycuda = importlib.import_module("pycuda.driver")
    except (ImportError, OSError) as error:
        yield f"- missing: pycuda ({error}): not needed, the driver is called directly"
        return
    yield from calls_of("pycuda", pycuda, driver)


def load_driver() -> Any:
    """Libcuda, started. Raises MissingError."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError as error:
        raise MissingError(f"no NVIDIA driver ({error})") from error
    if status := int(driver.cuInit(0)):
        raise MissingError(f"the NVIDIA driver does not start (cuInit: {status})")
    return driver


def calls_of(name: str, cuda: Any, driver: Any) -> Iterator[str]:
    """Each step of an engine's life; the first that fails ends the list, with the driver's words."""
    context = None
    try:
        cuda.init()
        device = cuda.Device(0)
        major, minor = device.compute_capability()
        yield f"- {name}: {device.name()}, compute capability {major}.{minor}"
        context = device.make_context(int(cuda.ctx_flags.MAP_HOST))
        stream = cuda.Stream()
        host, back = (cuda.pagelocked_empty((SIZE,), np.uint8) for _ in range(2))
        host[...] = np.arange(SIZE) % 251
        memory = cuda.mem_alloc(SIZE)

        def there_and_back() -> None:
            cuda.memcpy_htod_async(memory, host, stream)
            cuda.memcpy_dtoh_async(back, memory, stream)

        def once() -> None:
            there_and_back()
            stream.synchronize()

        once()
        right = "the same bytes came back" if np.array_equal(host, back) else "WRONG bytes came back"
        yield f"- {name}: pinned memory and a stream: {right}, {median_us(once):.1f} us there and back"
        mapped = cuda.pagelocked_empty((SIZE,), np.uint8, mem_flags=int(cuda.host_alloc_flags.DEVICEMAP))
        yield f"- {name}: mapped memory: the GPU has it at {int(mapped.base.get_device_pointer()):#x}"
        yield f"- {name}: {_graph(driver, stream, there_and_back, back, host)}"
    except cuda.Error as error:
        yield f"- {name}: failed: {error}"
    finally:
        if context is not None:
            context.detach()


def _graph(driver: Any, stream: Any, enqueue: Callable[[], None], back: Any, host: Any) -> str:
    try:
        graph = CudaGraph(driver, int(stream.handle), enqueue)
    except CaptureRefusedError as error:
        return f"CUDA graph refused: {error}"
    back[...] = 0
    graph.launch()
    stream.synchronize()
    right = "gives the same bytes" if np.array_equal(host, back) else "gives WRONG bytes"

    def once() -> None:
        graph.launch()
        stream.synchronize()

    took = median_us(once)
    graph.close()
    return f"a CUDA graph {right}, {took:.1f} us to launch and finish"


def median_us(call: Callable[[], None]) -> float:
    """Microseconds of a call."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        times.append(1e6 * (time.perf_counter() - started))
    return float(np.median(times))
