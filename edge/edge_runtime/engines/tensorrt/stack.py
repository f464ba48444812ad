"""What there is of NVIDIA's stack: driver, TensorRT, pycuda and one GPU, looked for in an order that cannot crash.

    nvidia = find_nvidia(Library.TENSORRT)     # raises the GpuError that says what is missing
    print(nvidia.gpu, nvidia.product)

The driver comes first: without one, `tensorrt.Runtime()` ends the process with a segmentation fault. TensorRT and
pycuda are imported here and nowhere else; whoever needs them is given a `Nvidia`. Where there is no pycuda, which pip
must build with NVIDIA's toolkit, the driver is called directly (cuda_driver.py).
"""

from __future__ import annotations

import ctypes
import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_runtime.engines.tensorrt.cuda_driver import CudaDriver
from edge_runtime.engines.tensorrt.errors import DriverMissingError, TensorrtMissingError, WrongVersionError
from edge_runtime.engines.tensorrt.library import Library

DRIVER = "libcuda.so.1"
log = logging.getLogger(__name__)
CUINIT = {100: "no GPU is there", 803: "driver and kernel module are of different versions", 999: "unknown error"}


@dataclass(frozen=True)
class Nvidia:
    """The imported modules and the GPU that they are used on, the first one.

    library: which compiler. trt: its module. cuda: the module `pycuda.driver` or what stands in for it, initialised,
    without a context. driver: libcuda, for what pycuda does not wrap. integrated: the GPU shares the CPU's memory, as
    on every Jetson.
    """

    library: Library
    trt: Any
    cuda: Any
    driver: Any
    gpu: str
    compute: str  # compute capability, e.g. 8.7
    integrated: bool

    @property
    def version(self) -> str:
        """Of TensorRT, as the module says it, e.g. 10.3.0."""
        return str(self.trt.__version__)

    @property
    def product(self) -> str:
        """The compiler with its version, for people."""
        return f"{self.library.label} {self.version}"

    def free_memory(self) -> tuple[int, int]:
        """Free and all bytes of the GPU's memory; on a Jetson it is the CPU's, too."""
        context = self.cuda.Device(0).make_context()
        try:
            free, total = self.cuda.mem_get_info()
            return int(free), int(total)
        finally:
            context.detach()


def find_nvidia(
    library: Library = Library.TENSORRT,
    load_library: Callable[[str], Any] = ctypes.CDLL,
    import_module: Callable[[str], Any] = importlib.import_module,
) -> Nvidia:
    """Look for everything that a TensorRT engine needs. Raises the GpuError that names what is missing first."""
    driver = _driver(load_library)
    trt = _tensorrt(library, import_module)
    cuda = _cuda(driver, import_module)
    try:
        cuda.init()
        device = cuda.Device(0)
        major, minor = device.compute_capability()
        integrated = bool(device.get_attribute(cuda.device_attribute.INTEGRATED))
    except cuda.Error as error:
        raise DriverMissingError(
            f"the NVIDIA driver does not say which GPU it has: {error}. Update the driver"
        ) from error
    return Nvidia(library, trt, cuda, driver, str(device.name()), f"{major}.{minor}", integrated)


def _driver(load_library: Callable[[str], Any]) -> Any:
    try:
        driver = load_library(DRIVER)
    except OSError as error:
        raise DriverMissingError(
            f"this machine has no NVIDIA driver ({error}). On a Jetson install JetPack; in a container start it with "
            "--runtime nvidia (--gpus all on a PC); on a machine without GPU use `engine: onnxruntime`"
        ) from error
    if status := int(driver.cuInit(0)):
        raise DriverMissingError(
            f"the NVIDIA driver does not start (cuInit: {status}, {CUINIT.get(status, 'see cuda.h')}). Does "
            "`nvidia-smi` (or `tegrastats` on a Jetson) see the GPU, and may this user open its devices in /dev "
            "(groups video and render)?"
        )
    return driver


def _tensorrt(library: Library, import_module: Callable[[str], Any]) -> Any:
    try:
        trt = import_module(library.module)
    except (ImportError, OSError) as error:
        raise TensorrtMissingError(f"{library.label} cannot be imported ({error}). {library.how_to_install}") from error
    if not hasattr(trt.IExecutionContext, "execute_async_v3"):
        raise WrongVersionError(
            f"TensorRT {trt.__version__} is too old: 8.6 is the oldest that serves, as JetPack 6 has it. Update JetPack"
        )
    return trt


def _cuda(driver: Any, import_module: Callable[[str], Any]) -> Any:
    try:
        return import_module("pycuda.driver")
    except (ImportError, OSError) as error:
        log.info("no pycuda (%s): the driver is called directly", error)
        return CudaDriver(driver)


def message_collector(trt: Any) -> Any:
    """A logger for TensorRT (a `trt.ILogger`) that keeps messages instead of printing them, so that an error can quote
    them. errors, warnings: lists of one-line messages."""

    class MessageCollector(trt.ILogger):  # type: ignore[misc]  # a class of a library without types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append(" ".join(message.split()))
            elif severity == trt.ILogger.Severity.WARNING:
                self.warnings.append(" ".join(message.split()))

        def last_errors(self) -> str:
            """The last errors, in one line, or that there are none."""
            return " | ".join(self.errors[-5:]) or "it gave no reason"

    return MessageCollector()
