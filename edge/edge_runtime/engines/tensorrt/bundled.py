"""Engines that came in a bundle: compiled on the host, ahead of time, for several GPUs (`edge-build compile --rtx`).

    serialized = read_bundled(bundle, key, machine_id())      # raises the GpuError that says why not

Only TensorRT-RTX compiles ahead of time; the device finishes such an engine when it first loads it. This is the one
case of a compiled engine that the device did not make itself, so it is loaded only from a bundle that this device
installed from a signed file (docs/decisions/0040).
"""

from __future__ import annotations

from typing import Literal

from edge_runtime.bundle.manifest import FileName, Record, Sha256
from edge_runtime.bundle.reader import Bundle
from edge_runtime.bundle.receipt import INDEX, require_receipt
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import (
    EngineAbsentError,
    EngineDamagedError,
    WrongGpuError,
    WrongVersionError,
)
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.errors import BundleError
from edge_runtime.records import Precision


class BundledEngine(Record):
    """One engine. graph: SHA-256 of the graph that it was compiled of. computes: compute capabilities, e.g. 8.6."""

    file: FileName
    precision: Precision
    graph: Sha256
    version: str
    computes: tuple[str, ...]


class BundledEngines(Record):
    """`engines/engines.json` of a bundle."""

    library: Literal["tensorrt-rtx"]
    engines: tuple[BundledEngine, ...]


def bundled_engines(bundle: Bundle) -> tuple[BundledEngine, ...]:
    """What the bundle says that it has. Raises BundleError when its list is damaged or names what is not there."""
    if INDEX not in bundle.manifest.files:
        return ()
    found = bundle.record(INDEX, BundledEngines, "a list of engines").engines
    if missing := [one.file for one in found if one.file not in bundle.manifest.files]:
        raise BundleError(f"{bundle.folder / INDEX} names {', '.join(missing)}, which the manifest does not list")
    return found


def read_bundled(bundle: Bundle, key: EngineKey, machine: str) -> bytes:
    """The engine for a key, out of a bundle that this device verified when it was installed. machine: its id.

    Raises EngineAbsentError, WrongVersionError, WrongGpuError or EngineDamagedError.
    """
    engines = bundled_engines(bundle) if key.library is Library.TENSORRT_RTX and not key.calibration else ()
    same_graph = [one for one in engines if (one.precision, one.graph) == (key.precision, key.graph_sha256)]
    if not same_graph:
        raise EngineAbsentError(f"bundle {bundle.label} has no {key.precision.value} engine in it either")
    same_version = [one for one in same_graph if one.version == key.tensorrt]
    how = key.library.how_to_compile
    if not same_version:
        versions = ", ".join(sorted({one.version for one in same_graph}))
        raise WrongVersionError(
            f"the {key.precision.value} engine in bundle {bundle.label} is for {key.library.label} {versions}, this "
            f"device has {key.tensorrt}: {how}, or compile the bundle's again on the host with that version"
        )
    engine = next((one for one in same_version if key.compute in one.computes), None)
    if engine is None:
        computes = ", ".join(compute for one in same_version for compute in one.computes)
        raise WrongGpuError(
            f"the {key.precision.value} engine in bundle {bundle.label} is for compute capability {computes}, this "
            f"device's {key.gpu} has {key.compute}: {how}, or compile the bundle's again with --compute {key.compute}"
        )
    try:
        if bundle.signer is None:
            require_receipt(bundle, machine)
        return bundle.read(engine.file)
    except BundleError as error:
        raise EngineDamagedError(f"{error}; or {how}") from error
