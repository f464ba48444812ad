"""`edge-build compile`: a bundle's graphs become engines of this device, in a process of its own.

    wanted = WantedEngines(bundle=Path("bundles/screw-1"), engines=Path("/var/lib/edge/engines"))
    compile_bundle(wanted, progress, print)

It needs neither torch nor onnx.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.on_device.calibration_pictures import find_pictures
from edge_build.on_device.child_process import in_child
from edge_build.on_device.compile import Compiled, Settings, compile_engine
from edge_build.on_device.implicit_int8 import ImplicitInt8
from edge_build.progress import Progress
from edge_runtime.bundle.device_seal import machine_id
from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.implicit_int8 import NOT_JUDGED, Calibrator
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.engines.tensorrt.stack import find_nvidia
from edge_runtime.errors import ConfigError
from edge_runtime.records import Precision


@dataclass(frozen=True)
class WantedEngines:
    """bundle: its folder. engines: where this device keeps its own. precision: None for every one of the bundle.

    calibrator: TensorRT calibrates the FP32 graph, instead of the INT8 graph with its ranges. calibration_pictures: the
    dataset that it is fed from; None for the bundle's ranges.
    """

    bundle: Path
    engines: Path
    precision: Precision | None = None
    library: Library = Library.TENSORRT
    settings: Settings = field(default_factory=Settings)
    calibrator: Calibrator | None = None
    calibration_pictures: Path | None = None


def compile_bundle(wanted: WantedEngines, progress: Progress, show: Callable[[str], object]) -> None:
    """Compile each graph, keep it, and prove it on the golden pictures. show: takes a line for each that serves.

    Raises ConfigError for options that exclude one another, ChildFailedError when the compiler's process has failed and
    has printed why, and what `in_child` raises.
    """
    _check(wanted)
    bundle, cache = open_bundle(wanted.bundle), EngineCache(wanted.engines, machine_id())
    pictures = []
    if wanted.calibration_pictures is not None:
        pictures = find_pictures(bundle, wanted.calibration_pictures, progress)

    def work() -> None:
        for compiled in _engines(wanted, bundle, cache, pictures, progress):
            show(_line(compiled))
        if wanted.calibrator is not None:
            show(
                f"{NOT_JUDGED}: measure this engine before it serves, with `edge-build evaluate {wanted.bundle} "
                f"PICTURES --precision int8 --engine tensorrt-{wanted.calibrator.value}`"
            )

    try:
        in_child(work, progress, "compiling")
    finally:
        cache.remove_unfinished()  # of a child that was killed


def _check(wanted: WantedEngines) -> None:
    if wanted.calibrator is not None and wanted.precision is not Precision.INT8:
        raise ConfigError("--implicit-calibration makes INT8 alone: give --precision int8, too")
    if wanted.calibrator is not None and wanted.library is Library.TENSORRT_RTX:
        raise ConfigError("--implicit-calibration is for TensorRT 8 and 10: TensorRT-RTX takes the bundle's INT8 graph")
    if wanted.calibrator is None and wanted.calibration_pictures is not None:
        raise ConfigError("--calibration-pictures is for --implicit-calibration: the INT8 graph has its ranges in it")


def _engines(
    wanted: WantedEngines, bundle: Bundle, cache: EngineCache, pictures: list[NDArray[np.uint8]], progress: Progress
) -> Iterator[Compiled]:
    nvidia, implicit = find_nvidia(wanted.library), None
    if wanted.calibrator is not None:
        implicit = ImplicitInt8(bundle, wanted.calibrator, pictures, nvidia, cache)
    for precision in bundle.manifest.graphs if wanted.precision is None else [wanted.precision]:
        yield compile_engine(bundle, precision, nvidia, cache, wanted.settings, progress, implicit)


def _line(compiled: Compiled) -> str:
    took = f"compiled in {compiled.seconds:.0f} s" if compiled.seconds else "was there already"
    return (
        f"{compiled.path}: {took}, {compiled.size / 1e6:.1f} MB; {compiled.engine} reproduces the golden pictures, "
        f"largest deviation {compiled.deviation:.3f} of the tolerance"
    )
