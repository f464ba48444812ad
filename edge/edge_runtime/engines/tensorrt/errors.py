"""What can be wrong with a device's GPU stack, each with an exit code of its own, so that a script can tell.

None of it is mended by starting again: the daemon shows NOTREADY with the reason and stays.
docs/reference/exit-codes.md has the table.
"""

from edge_runtime.errors import EngineError


class GpuError(EngineError):
    """No engine for this GPU. Restarting does not help. short: what is wrong, in a few words."""

    short = "the GPU has no engine"


class DriverMissingError(GpuError):
    """No NVIDIA driver, or no GPU behind it."""

    exit_code = 80
    short = "no NVIDIA driver or GPU"


class TensorrtMissingError(GpuError):
    """The Python module of the compiler, `tensorrt` or `tensorrt_rtx`, cannot be imported."""

    exit_code = 81  # 82 was a missing pycuda, without which the driver is called directly now
    short = "Python does not find it"


class WrongVersionError(GpuError):
    """TensorRT is too old, or the engine belongs to another version."""

    exit_code = 83
    short = "its version does not fit"


class WrongGpuError(GpuError):
    """The engine was compiled for another GPU."""

    exit_code = 84
    short = "the engine is for another GPU"


class EngineDamagedError(GpuError):
    """The engine is truncated, changed, or was not written by this device."""

    exit_code = 85
    short = "the engine is damaged or another device's"


class EngineAbsentError(GpuError):
    """There is no engine yet."""

    exit_code = 86
    short = "no engine is compiled yet"


class CompilerRefusedError(GpuError):
    """TensorRT does not compile the graph."""

    exit_code = 87
    short = "it does not take the graph"


class OutOfMemoryError(GpuError):
    """Not enough memory to compile or to load an engine."""

    exit_code = 88
    short = "the GPU's memory is not enough"
