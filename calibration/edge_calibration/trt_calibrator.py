"""TensorRT's own INT8, for those of 8.x and 10.x whose graph must stay FP32: implicit calibrators and their cache.

The usual way is the bundle's INT8 graph, in which the ranges stand. This is the second way: the ranges of the same
calibration set as a cache in TensorRT's format, so that no picture is needed on the device; or, without a cache, a
calibrator that is fed with pictures through pycuda. It needs no onnx.

    (folder / "calibration/entropy2.cache").write_bytes(cache_text(Calibrator.ENTROPY, ranges))
    config.int8_calibrator = implicit_calibrator(trt, cuda, Calibrator.ENTROPY, cache, pictures)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_calibration.int8_plan import LEVELS, TINY_RANGE
from edge_runtime.engines.tensorrt.errors import WrongVersionError
from edge_runtime.engines.tensorrt.implicit_int8 import Calibrator
from edge_runtime.errors import EngineError

CLASSES: Mapping[Calibrator, str] = {
    Calibrator.ENTROPY: "IInt8EntropyCalibrator2",
    Calibrator.MINMAX: "IInt8MinMaxCalibrator",
}
HEADS: Mapping[Calibrator, str] = {
    Calibrator.ENTROPY: "EntropyCalibration2",
    Calibrator.MINMAX: "MinMaxCalibration",
}
WRITTEN_FOR = "8.6.1"  # the version in a cache's first line; `implicit_calibrator` puts its own there


def cache_text(calibrator: Calibrator, ranges: Mapping[str, float], version: str = WRITTEN_FOR) -> bytes:
    """A calibration cache: a line for each tensor, by name, with its scale as the eight hex digits of a float32.

    ranges: the largest magnitude of each tensor. The same ranges give the same bytes.
    """
    lines = [f"TRT-{_number(version)}-{HEADS[calibrator]}"]
    for tensor, largest in sorted(ranges.items()):
        lines.append(f"{tensor}: {struct.pack('>f', max(largest, TINY_RANGE) / LEVELS).hex()}")
    return "".join(f"{line}\n" for line in lines).encode()


def ranges_from_cache(text: bytes) -> dict[str, float]:
    """The ranges of a cache, by tensor. Raises EngineError for what is no cache."""
    head, *lines = text.decode(errors="replace").splitlines() or [""]
    found = {}
    try:
        if not head.startswith("TRT-"):
            raise ValueError(head)
        for line in lines:
            tensor, scale = line.rsplit(": ", 1)
            found[tensor] = struct.unpack(">f", bytes.fromhex(scale))[0] * LEVELS
    except (ValueError, struct.error) as error:
        raise EngineError(
            f"this is no calibration cache of TensorRT ({error}): take it from the bundle again"
        ) from error
    return found


def require_calibrators(trt: Any, calibrator: Calibrator) -> None:
    """Raises WrongVersionError when this TensorRT has no implicit calibrators, as from 11 on."""
    if not hasattr(trt, CLASSES[calibrator]):
        raise WrongVersionError(
            f"TensorRT {trt.__version__} has no {CLASSES[calibrator]} any more, so it cannot calibrate: compile the "
            "bundle's INT8 graph, which has the ranges in it (without --implicit-calibration)"
        )


def implicit_calibrator(
    trt: Any, cuda: Any, calibrator: Calibrator, cache: bytes, pictures: Iterable[NDArray[np.uint8]] = ()
) -> Any:
    """A calibrator for `config.int8_calibrator`. Its `cache` is what was given or, where that is empty, what TensorRT
    makes of the pictures.

    trt, cuda: the modules `tensorrt` and `pycuda.driver`, with a context that is current. pictures: uint8 (1, H, W, 3)
    each, prepared; only looked at without a cache. The network is the FP32 graph, weakly typed, with BuilderFlag.INT8.
    Raises WrongVersionError when this TensorRT has no implicit calibrators.
    """
    require_calibrators(trt, calibrator)
    base: Any = getattr(trt, CLASSES[calibrator])

    class Fed(base):  # type: ignore[misc]  # the base class is only known on the device
        """Feeds one picture at a time. It owns some of the device's memory until `free`."""

        def __init__(self) -> None:
            base.__init__(self)
            self.cache = cache
            self._pictures = iter(pictures)
            self._memory: Any = None

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: list[str]) -> list[int] | None:
            picture = next(self._pictures, None)
            if picture is None:
                return None
            if self._memory is None:
                self._memory = cuda.mem_alloc(picture.nbytes)
            cuda.memcpy_htod(self._memory, np.ascontiguousarray(picture))
            return [int(self._memory)]

        def read_calibration_cache(self) -> bytes | None:
            if not self.cache:
                return None
            return cache_text(calibrator, ranges_from_cache(self.cache), trt.__version__)

        def free(self) -> None:
            """Give the device's memory back, with the context current."""
            if self._memory is not None:
                self._memory.free()
                self._memory = None

        def write_calibration_cache(self, text: bytes) -> None:
            self.cache = cache or bytes(text)

    return Fed()


def _number(version: str) -> int:
    """8.6.1 -> 8601, 10.3.0 -> 100300, as TensorRT writes its version into caches."""
    major, minor, patch = (int(part) for part in version.split(".")[:3])
    return major * 1000 + minor * 100 + patch if major < 10 else major * 10000 + minor * 100 + patch
