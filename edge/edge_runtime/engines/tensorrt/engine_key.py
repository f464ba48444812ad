"""What a compiled engine belongs to, and the file name that says so.

key = EngineKey.of(nvidia, bundle.graph_sha256(Precision.FP16), Precision.FP16)
key.stem  # 8f0c...-fp16-trt10.3.0-Orin-sm87
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.engines.tensorrt.stack import Nvidia
from edge_runtime.records import Precision


@dataclass(frozen=True)
class EngineKey:
    """What an engine belongs to. tensorrt: the version of the library. compute: compute capability, e.g. 8.7.

    calibration: where INT8's ranges come from when they do not stand in the graph (implicit_int8.py), otherwise empty.
    """

    graph_sha256: str
    precision: Precision
    tensorrt: str
    gpu: str
    compute: str
    calibration: str = ""
    library: Library = Library.TENSORRT

    @staticmethod
    def of(nvidia: Nvidia, graph_sha256: str, precision: Precision, calibration: str = "") -> EngineKey:
        """The key of a graph on this device."""
        return EngineKey(
            *(graph_sha256, precision, nvidia.version, nvidia.gpu, nvidia.compute, calibration, nvidia.library)
        )

    @property
    def device_stem(self) -> str:
        """What all engines of a device share, and its timing cache is named by: it helps with every graph."""
        gpu = re.sub(r"[^A-Za-z0-9]+", "_", self.gpu)
        return f"{self.library.tag}{self.tensorrt}-{gpu}-sm{self.compute.replace('.', '')}"

    @property
    def graph_stem(self) -> str:
        """What the engines of a graph share on all devices."""
        calibrated = f"-{self.calibration}" if self.calibration else ""
        return f"{self.graph_sha256[:16]}-{self.precision.value}{calibrated}"

    @property
    def stem(self) -> str:
        """The engine's file name without its suffix."""
        return f"{self.graph_stem}-{self.device_stem}"

    @property
    def calibrator(self) -> str:
        """`entropy` or `minmax` where TensorRT calibrated; otherwise empty."""
        return self.calibration.partition("-")[0]
