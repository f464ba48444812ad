"""How the FP32 graph becomes an INT8 engine without Q/DQ pairs: TensorRT calibrates, the plan says what may be INT8.

    implicit = ImplicitInt8(bundle, Calibrator.ENTROPY, pictures, nvidia, cache)
    compile_engine(bundle, Precision.INT8, nvidia, cache, settings, progress, implicit)

Ranges come from the bundle (measured on the host), or from pictures that TensorRT is fed on this device; the latter are
kept beside the engines. The network is weakly typed. Only what the bundle's INT8 graph has in INT8 may become INT8: its
convolutions, their activations and sums. All else is held to FP32.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_calibration.int8_plan import Int8Plan
from edge_calibration.trt_calibrator import implicit_calibrator, require_calibrators
from edge_runtime.bundle.reader import Bundle
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.errors import CompilerRefusedError
from edge_runtime.engines.tensorrt.implicit_int8 import PLAN, Calibrator, implicit_key
from edge_runtime.engines.tensorrt.stack import Nvidia


class ImplicitInt8:
    """One way to calibrate one bundle on one device. key: what its engine is kept by. source: whence the ranges come.

    Raises WrongVersionError where TensorRT has no calibrators (11 and later), BundleError where the gate has not let
    INT8 into the bundle.
    """

    def __init__(
        self,
        bundle: Bundle,
        calibrator: Calibrator,
        pictures: Sequence[NDArray[np.uint8]],
        nvidia: Nvidia,
        cache: EngineCache,
    ) -> None:
        """pictures: uint8 (1, H, W, 3) each, prepared, to be fed to TensorRT; none: the bundle's ranges are used."""
        require_calibrators(nvidia.trt, calibrator)
        self.key = implicit_key(nvidia, bundle, calibrator)
        self._nvidia, self._engines, self._calibrator, self._pictures = nvidia, cache, calibrator, pictures
        self._chosen = bundle.record(PLAN, Int8Plan, "a plan of INT8").quantised
        if not pictures:
            self._cache = bundle.read(calibrator.cache_file)
            self.source = f"the ranges in {calibrator.cache_file} of the bundle"
            return
        self._cache = cache.read_ranges(self.key)
        fed = f"TensorRT's {calibrator.value} calibration on {len(pictures)} pictures"
        self.source = f"{fed}, as measured here before" if self._cache else fed

    @property
    def ranges(self) -> str:
        """SHA-256 of the ranges; empty before TensorRT has measured them."""
        return hashlib.sha256(self._cache).hexdigest() if self._cache else ""

    @property
    def advice(self) -> str:
        """What to do when the golden pictures are not reproduced."""
        other = next(one.value for one in Calibrator if one is not self._calibrator)
        return (
            f"What {self._calibrator.value} calibration makes of INT8 is not what the precision gate has let in: try "
            f"--implicit-calibration {other}, or compile the bundle's INT8 graph (without the option)"
        )

    def attach(self, network: Any, config: Any) -> Any:
        """Allow INT8 where the plan has it. Returns the calibrator, which must live until TensorRT has built,
        with a CUDA context. Raises CompilerRefusedError when the network has none of the plan's convolutions."""
        trt = self._nvidia.trt
        layers = [network.get_layer(number) for number in range(network.num_layers)]
        free = may_be_int8(trt, layers, self._chosen)
        if not free:
            raise CompilerRefusedError(
                f"TensorRT {trt.__version__} names the convolutions of the graph otherwise than {PLAN} of the bundle, "
                "so none would be INT8: compile the bundle's INT8 graph instead (without --implicit-calibration)"
            )
        config.set_flag(trt.BuilderFlag.INT8)
        config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
        for layer in layers:
            floats = [n for n in range(layer.num_outputs) if layer.get_output(n).dtype == trt.DataType.FLOAT]
            if layer.name in free or not floats:
                continue
            layer.precision = trt.DataType.FLOAT
            for number in floats:
                layer.set_output_type(number, trt.DataType.FLOAT)
        calibrator = implicit_calibrator(trt, self._nvidia.cuda, self._calibrator, self._cache, self._pictures)
        config.int8_calibrator = calibrator
        return calibrator

    def keep(self, calibrator: Any) -> None:
        """Keep what TensorRT has measured, for the next time. Raises StorageError."""
        if not self._cache:
            self._cache = calibrator.cache
            self._engines.write_ranges(self.key, self._cache)


def may_be_int8(trt: Any, layers: Sequence[Any], chosen: frozenset[str]) -> frozenset[str]:
    """The names of the chosen convolutions, and of what only follows such: activations, and sums of different maps."""
    names: set[str] = set()
    made: set[str] = set()  # the tensors that these give
    for layer in layers:
        given = [layer.get_input(number) for number in range(layer.num_inputs)]
        tensors = [tensor.name for tensor in given if tensor is not None]
        follows = layer.type in (trt.LayerType.ACTIVATION, trt.LayerType.ELEMENTWISE)
        apart = bool(tensors) and len(set(tensors)) == len(tensors)  # x * x grows beyond what a range holds
        if layer.name in chosen or (follows and apart and made.issuperset(tensors)):
            names.add(layer.name)
            made.update(layer.get_output(number).name for number in range(layer.num_outputs))
    return frozenset(names)
