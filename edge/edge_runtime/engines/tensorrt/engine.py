"""The engine of a device: TensorRT or TensorRT-RTX on its GPU, through pycuda.

    nvidia = find_nvidia(Library.TENSORRT)
    with TensorrtEngine(nvidia, cache.read(key), key) as engine:
        inspection = engine.infer(picture)

It has a CUDA context of its own, one stream, and one pinned buffer for each tensor, all made once. On a Jetson, where
CPU and GPU share the memory, the GPU reads and writes these buffers in place; elsewhere they are copied. The work of
one picture is recorded as a CUDA graph where TensorRT allows it. Any one thread may call it at a time.

TensorRT-RTX finishes an engine when it is loaded, which takes seconds. What it made then can be had (`runtime_cache`),
kept, and given to the next engine of the same key; one that does not fit is of no use and does no harm.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.engines.tensorrt.cuda_graph import CaptureRefusedError, CudaGraph
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import EngineDamagedError, OutOfMemoryError, WrongVersionError
from edge_runtime.engines.tensorrt.stack import Nvidia, message_collector
from edge_runtime.errors import EngineError
from edge_runtime.records import Inspection

WARM_UP = 3  # pictures; TensorRT allocates and chooses on the first, and clocks rise
OTHER_VERSION = ("version tag does not match", "serialization version", "engine plan file is not compatible")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Buffer:
    """A tensor in pinned memory. device: what the GPU reads or writes; owner: what frees it."""

    host: NDArray[Any]
    device: int
    owner: Any


class TensorrtEngine:
    """Runs an engine that was verified by `EngineCache` or `read_bundled`. size: its bytes, mostly weights.

    finished: whether a runtime cache was given that fitted. capture: whether to use a CUDA graph if it can be had.

    Raises WrongVersionError, EngineDamagedError or OutOfMemoryError when TensorRT does not load it.
    """

    def __init__(
        self, nvidia: Nvidia, serialized: bytes, key: EngineKey, runtime_cache: bytes = b"", capture: bool = True
    ) -> None:
        self._nvidia, self._key, self._messages = nvidia, key, message_collector(nvidia.trt)
        self.size = len(serialized)
        self.finished = False
        self._graph: CudaGraph | None = None
        self._runtime_cache: Any = None
        cuda = nvidia.cuda
        self._context = cuda.Device(0).make_context(int(cuda.ctx_flags.MAP_HOST))
        try:
            self._load(serialized, runtime_cache)
            self._buffers = {name: self._allocated(name) for name in ("image", "score", "anomaly_map")}
            for name, buffer in self._buffers.items():
                self._execution.set_tensor_address(name, buffer.device)
            self._stream = cuda.Stream()
            self._warm_up(capture)
        except BaseException as error:
            self._free()
            if isinstance(error, cuda.MemoryError):
                raise OutOfMemoryError(f"the engine does not fit into the GPU's free memory: {error}") from error
            raise
        cuda.Context.pop()

    @property
    def name(self) -> str:
        """The compiler, the GPU, the precision with how it was calibrated, and whether a CUDA graph is used."""
        graph = "" if self._graph is None else ", CUDA graph"
        calibrated = f" by {self._key.calibrator} calibration" if self._key.calibration else ""
        precision = f"{self._key.precision.value}{calibrated}"
        return f"{self._nvidia.product} ({self._nvidia.gpu}, {precision}{graph})"

    @property
    def device_memory(self) -> int:
        """Bytes of the GPU's memory that the engine works in, beside its weights."""
        engine = self._engine
        name = "device_memory_size_v2" if hasattr(engine, "device_memory_size_v2") else "device_memory_size"
        return int(getattr(engine, name))

    def runtime_cache(self) -> bytes:
        """What TensorRT-RTX made of the engine on this device; empty for TensorRT, which has nothing left to make."""
        if self._runtime_cache is None:
            return b""
        self._context.push()
        try:
            return bytes(self._runtime_cache.serialize())
        finally:
            self._nvidia.cuda.Context.pop()

    def infer(self, image: NDArray[np.uint8]) -> Inspection:
        """Measure one prepared picture, uint8 BGR (1, height, width, 3). The caller owns what is returned: it is copied
        out of the buffer that the next picture overwrites."""
        held = self._buffers["image"].host
        if image.shape != held.shape or image.dtype != np.uint8:
            raise EngineError(
                f"{self._nvidia.product} failed on a picture {image.dtype} {image.shape}: it takes uint8 {held.shape}"
            )
        self._context.push()
        try:
            np.copyto(held, image)
            self._run()
            return Inspection(float(self._buffers["score"].host[0]), self._buffers["anomaly_map"].host[0].copy())
        except (self._nvidia.cuda.Error, CaptureRefusedError) as error:
            raise EngineError(
                f"{self._nvidia.product} failed on a picture: {error} {self._messages.last_errors()}"
            ) from error
        finally:
            self._nvidia.cuda.Context.pop()

    def __enter__(self) -> TensorrtEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.push()
        self._free()

    def _load(self, serialized: bytes, runtime_cache: bytes) -> None:
        try:
            self._runtime = self._nvidia.trt.Runtime(self._messages)
        except TypeError as error:  # what pybind11 makes of a null pointer
            raise WrongVersionError(f"{self._nvidia.product} does not start: {self._messages.last_errors()}") from error
        self._engine = self._runtime.deserialize_cuda_engine(serialized)
        if self._engine is None:
            reason = self._messages.last_errors()
            kind = WrongVersionError if any(sign in reason.lower() for sign in OTHER_VERSION) else EngineDamagedError
            how = self._key.library.how_to_compile
            raise kind(f"{self._nvidia.product} does not load {self._key.stem}: {reason}; {how}")
        self._check_contract()
        self._execution = self._execution_context(runtime_cache)
        if self._execution is None:
            raise OutOfMemoryError(
                f"{self._nvidia.product} cannot make room for {self._key.stem} ({self.device_memory} bytes): "
                f"{self._messages.last_errors()}; end what else uses the GPU's memory"
            )

    def _execution_context(self, runtime_cache: bytes) -> Any:
        """With a runtime cache where the library has such; the other TensorRT has nothing to finish."""
        if not hasattr(self._nvidia.trt, "IRuntimeCache"):
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        self._runtime_cache = config.create_runtime_cache()
        if runtime_cache:
            self.finished = bool(self._runtime_cache.deserialize(runtime_cache))
        config.set_runtime_cache(self._runtime_cache)
        return self._engine.create_execution_context(config)

    def _check_contract(self) -> None:
        engine, trt = self._engine, self._nvidia.trt
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        found = {
            name: (engine.get_tensor_mode(name), engine.get_tensor_dtype(name), len(engine.get_tensor_shape(name)))
            for name in names
        }
        wanted = {
            "image": (trt.TensorIOMode.INPUT, trt.DataType.UINT8, 4),
            "score": (trt.TensorIOMode.OUTPUT, trt.DataType.FLOAT, 1),
            "anomaly_map": (trt.TensorIOMode.OUTPUT, trt.DataType.FLOAT, 3),
        }
        if found != wanted:
            raise EngineDamagedError(
                f"the engine {self._key.stem} does not follow the contract (uint8 `image` in; float32 `score` and "
                f"`anomaly_map` out): it has {found}; {self._key.library.how_to_compile}"
            )

    def _allocated(self, name: str) -> Buffer:
        cuda = self._nvidia.cuda
        shape = tuple(self._engine.get_tensor_shape(name))
        kind = np.uint8 if name == "image" else np.float32
        if self._nvidia.integrated:
            host = cuda.pagelocked_empty(shape, kind, mem_flags=int(cuda.host_alloc_flags.DEVICEMAP))
            return Buffer(host, int(host.base.get_device_pointer()), host.base)
        host = cuda.pagelocked_empty(shape, kind)
        memory = cuda.mem_alloc(host.nbytes)
        return Buffer(host, int(memory), memory)

    def _warm_up(self, capture: bool) -> None:
        """The first pictures, whose time counts for nothing, and the recording of what they do."""
        self._buffers["image"].host[...] = 0
        for _ in range(WARM_UP):
            self._run()
        if not capture:
            return
        try:
            self._graph = CudaGraph(self._nvidia.driver, self._stream.handle, self._enqueue)
            self._run()
        except (CaptureRefusedError, EngineError, self._nvidia.cuda.Error) as refused:
            log.info("no CUDA graph (%s): kernels are launched one by one", refused)
            self._graph = None
            self._run()

    def _run(self) -> None:
        """One picture from buffer to buffers, finished on return."""
        if self._graph is None:
            self._enqueue()
        else:
            self._graph.launch()
        self._stream.synchronize()

    def _enqueue(self) -> None:
        cuda, stream = self._nvidia.cuda, self._stream
        copies = not self._nvidia.integrated
        if copies:
            cuda.memcpy_htod_async(self._buffers["image"].owner, self._buffers["image"].host, stream)
        if not self._execution.execute_async_v3(stream.handle):
            raise EngineError(f"{self._nvidia.product} did not enqueue a picture: {self._messages.last_errors()}")
        for name in ("score", "anomaly_map") if copies else ():
            cuda.memcpy_dtoh_async(self._buffers[name].host, self._buffers[name].owner, stream)

    def _free(self) -> None:
        """Everything in the order that TensorRT asks for, with the context current; then the context."""
        if self._graph is not None:
            self._graph.close()
        self._graph = self._execution = self._runtime_cache = self._engine = self._runtime = self._stream = None
        self._buffers = {}
        self._context.detach()  # which pops it; only the thread where it is current may do so
