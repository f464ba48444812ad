"""A device with a GPU, made of Python: `tensorrt` of a version, `pycuda.driver` and libcuda, on onnxruntime.

    device = FakeDevice("10.3")
    nvidia = device.nvidia()            # what find_nvidia() gives on such a device
    find_nvidia(device.load_library, device.import_module)

Whatever needs a CUDA context fails without one, and a buffer's content moves only by the copies that are asked for.
"""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from edge_runtime.engines.tensorrt.errors import TensorrtMissingError
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.engines.tensorrt.stack import Nvidia
from tests.support.fake_tensorrt import fake_tensorrt

VERSIONS = ("8.6", "10.3", "10.13", "11.4")
RTX = "rtx-1.7"  # the surface of TensorRT-RTX
SURFACES = Path(__file__).parent / "tensorrt_surfaces"


class CudaError(Exception):
    pass


class CudaMemoryError(CudaError):
    pass


class FakeDevice:
    """gpu: the name that the driver tells. integrated: a Jetson. Attributes that a test may set: `refuses_capture`,
    `build_fails_with` (messages), `loads_with` (messages; then nothing is loaded)."""

    def __init__(self, version: str, gpu: str = "Orin", compute: tuple[int, int] = (8, 7), integrated: bool = True):
        self.surface = json.loads((SURFACES / f"{version}.json").read_text())
        self.gpu, self.compute, self.integrated = gpu, compute, integrated
        self.library = Library.TENSORRT_RTX if version == RTX else Library.TENSORRT
        self.computes: list[str] = []  # what the compiler was told to compile for
        self.offered_runtime = b""  # the runtime cache that was given
        self.refuses_capture = False
        self.build_fails_with: list[str] = []
        self.loads_with: list[str] = []
        self.on_step = self.on_build = lambda: None  # what a test wants to happen in the compiler
        self._threads = threading.local()
        self.open_contexts = 0
        self.memory: dict[int, np.ndarray] = {}
        self.capturing: list | None = None
        self.launched_graphs = 0
        self.runs = 0
        self.flags: list[str] = []
        self.constrained: dict[str, str] = {}
        self.network_flags: list[str] = []
        self.workspace = 0
        self.offered_cache = b""
        self.ranges: bytes | None = None  # what INT8 was calibrated with
        self.fed: list[np.ndarray] = []
        self.cuda = fake_cuda(self)
        self.trt = fake_tensorrt(self)
        self.driver = FakeDriver(self)

    @property
    def contexts(self) -> list:
        """The calling thread's stack of CUDA contexts."""
        return self._threads.__dict__.setdefault("contexts", [])

    def nvidia(self, library: Library | None = None) -> Nvidia:
        if library not in (None, self.library):
            raise TensorrtMissingError(f"{library.label} cannot be imported: {library.how_to_install}")
        compute = ".".join(map(str, self.compute))
        return Nvidia(self.library, self.trt, self.cuda, self.driver, self.gpu, compute, self.integrated)

    def load_library(self, name: str):
        assert name == "libcuda.so.1"
        return self.driver

    def import_module(self, name: str):
        return {self.library.module: self.trt, "pycuda.driver": self.cuda}[name]

    def calibrate(self, calibrator) -> None:
        """What TensorRT does with a calibrator: its cache is used as it is, or it is fed, and given a cache to keep."""
        self.require_context()
        assert calibrator.ready
        self.ranges = calibrator.read_calibration_cache()
        if self.ranges is not None:
            return
        assert calibrator.get_batch_size() == 1
        while (batch := calibrator.get_batch(["image"])) is not None:
            (address,) = batch
            self.fed.append(self.memory[address].copy())
        kind = "MinMaxCalibration" if "MinMax" in type(calibrator).__mro__[1].__name__ else "EntropyCalibration2"
        self.ranges = f"TRT-{self.surface['version']}-{kind}\nimage: 3f800000\n".encode()
        calibrator.write_calibration_cache(memoryview(self.ranges))

    def require_context(self) -> None:
        if not self.contexts:
            raise CudaError("invalid device context")

    def enqueue(self, work) -> None:
        self.require_context()
        if self.capturing is not None:
            self.capturing.append(work)
        else:
            work()


class FakeDriver:
    """libcuda's calls for graphs, with ctypes arguments."""

    def __init__(self, device: FakeDevice):
        self.device, self.status = device, 0
        self.graphs: dict[int, list] = {}
        self._numbers = itertools.count(1000)

    def cuInit(self, flags):
        return self.status

    def cuStreamBeginCapture_v2(self, stream, mode):
        self.device.require_context()
        self.device.capturing = []
        return 0

    def cuStreamEndCapture(self, stream, graph):
        recorded, self.device.capturing = self.device.capturing, None
        if self.device.refuses_capture:
            return 901  # CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
        graph._obj.value = next(self._numbers)
        self.graphs[graph._obj.value] = recorded
        return 0

    def cuGraphInstantiateWithFlags(self, executable, graph, flags):
        executable._obj.value = next(self._numbers)
        self.graphs[executable._obj.value] = self.graphs[graph.value]
        return 0

    def cuGraphDestroy(self, graph):
        del self.graphs[graph.value]
        return 0

    def cuGraphLaunch(self, executable, stream):
        self.device.require_context()
        self.device.launched_graphs += 1
        for work in self.graphs[executable.value]:
            work()
        return 0

    def cuGraphExecDestroy(self, executable):
        del self.graphs[executable.value]
        return 0


def fake_cuda(device: FakeDevice) -> SimpleNamespace:
    """What of pycuda.driver (2024.1 to 2026.1) there is to use; names as in its wrap_cudadrv.cpp."""
    addresses = itertools.count(0x1000, 0x1000)

    class Context:
        def push(self):
            device.contexts.append(self)

        @staticmethod
        def pop():
            device.require_context()
            device.contexts.pop()

        def detach(self):
            if device.contexts and device.contexts[-1] is self:
                device.contexts.pop()
            device.open_contexts -= 1

    class Device:
        def __init__(self, number):
            assert number == 0

        def name(self):
            return device.gpu

        def compute_capability(self):
            return device.compute

        def get_attribute(self, attribute):
            assert attribute == "integrated"
            return int(device.integrated)

        def make_context(self, flags=0):
            context = Context()
            device.open_contexts += 1
            context.push()
            return context

    class Allocation:
        """Memory that lives as long as this does."""

        def __init__(self, shape, kind):
            device.require_context()
            self.array = np.full(shape, 77, kind)  # no zeros that hide what was never copied
            self.address = next(addresses)
            device.memory[self.address] = self.array

        def __int__(self):
            return self.address

        def free(self):
            device.require_context()
            del device.memory[self.address]

    class HostAllocation(Allocation):
        @property
        def __array_interface__(self):
            return self.array.__array_interface__

        def get_device_pointer(self):
            assert device.integrated, "this memory is not mapped"
            return self.address

    class Stream:
        handle = 42

        def __init__(self):
            device.require_context()

        def synchronize(self):
            device.require_context()

    def pagelocked_empty(shape, dtype, order="C", mem_flags=0):
        assert bool(mem_flags) == device.integrated
        return np.asarray(HostAllocation(shape, dtype))

    def copy(target, source):
        target.reshape(-1).view(np.uint8)[...] = source.reshape(-1).view(np.uint8)

    return SimpleNamespace(
        Error=CudaError,
        MemoryError=CudaMemoryError,
        init=lambda: None,
        Context=Context,
        Device=Device,
        Stream=Stream,
        ctx_flags=SimpleNamespace(MAP_HOST=8),
        host_alloc_flags=SimpleNamespace(DEVICEMAP=2),
        device_attribute=SimpleNamespace(INTEGRATED="integrated"),
        pagelocked_empty=pagelocked_empty,
        mem_alloc=lambda size: Allocation((size,), np.uint8),
        mem_get_info=lambda: (device.require_context(), (512 << 20, 8192 << 20))[1],
        memcpy_htod=lambda to, host: (device.require_context(), copy(to.array, host))[1],
        memcpy_htod_async=lambda to, host, stream: device.enqueue(lambda: copy(to.array, host)),
        memcpy_dtoh_async=lambda host, to, stream: device.enqueue(lambda: copy(host, to.array)),
    )
