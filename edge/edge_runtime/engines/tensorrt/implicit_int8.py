"""INT8 by TensorRT's own calibration, for 8.x and 10.x: the second way beside the bundle's INT8 graph.

The engine is one of the FP32 graph, with ranges from an entropy or minmax calibrator. It stands in for the INT8 graph,
with that graph's threshold and golden values; so there is none for a bundle whose INT8 the precision gate kept out. Its
name differs from that of the INT8 graph's engine, and changes with the bundle's calibration, and with the threshold and
the golden scores that `require_same_verdicts` held it against.

    files.read(implicit_key(nvidia, bundle, Calibrator.ENTROPY))
"""

from __future__ import annotations

import hashlib
from enum import Enum

from edge_runtime.bundle.reader import Bundle
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.stack import Nvidia
from edge_runtime.errors import BundleError
from edge_runtime.records import Precision

NOT_JUDGED = "the precision gate has judged the bundle's INT8 graph, not these ranges"
PICTURES, PLAN = "calibration/pictures.json", "calibration/int8.json"


class Calibrator(str, Enum):
    """How TensorRT finds ranges: IInt8EntropyCalibrator2 or IInt8MinMaxCalibrator."""

    ENTROPY = "entropy"
    MINMAX = "minmax"

    @property
    def cache_file(self) -> str:
        """The ranges that the host measured, in the bundle."""
        return {Calibrator.ENTROPY: "calibration/entropy2.cache", Calibrator.MINMAX: "calibration/minmax.cache"}[self]


def implicit_key(nvidia: Nvidia, bundle: Bundle, calibrator: Calibrator) -> EngineKey:
    """What such an engine is kept by. Raises BundleError when the bundle has no INT8, or no calibration."""
    if Precision.INT8 not in bundle.manifest.graphs:
        found = ", ".join(precision.value for precision in bundle.manifest.graphs)
        raise BundleError(
            f"bundle {bundle.label} has no int8 graph, only {found}: the precision gate has not let INT8 in (see its "
            "report.html), and implicit calibration is no way around the gate. Choose another precision, or build again"
        )
    files = (PICTURES, PLAN, calibrator.cache_file)
    if missing := [name for name in files if name not in bundle.manifest.files]:
        raise BundleError(
            f"bundle {bundle.label} has no {', '.join(missing)}: build it again, or run edge-build calibrate"
        )
    hashes = "".join(bundle.manifest.files[name].sha256 for name in files)
    verdicts = bundle.threshold(Precision.INT8).score, [g.score for g in bundle.manifest.golden_of(Precision.INT8)]
    calibration = f"{calibrator.value}-{hashlib.sha256(f'{hashes}{verdicts}'.encode()).hexdigest()[:8]}"
    return EngineKey.of(nvidia, bundle.graph_sha256(Precision.FP32), Precision.INT8, calibration)
