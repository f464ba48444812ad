"""From a bundle and a key to an engine that serves on this device: the device's own, or the one in the bundle.

with open_device_engine(bundle, Precision.FP16, nvidia, cache) as engine: ...
"""

from __future__ import annotations

import logging

from edge_runtime.bundle.reader import Bundle
from edge_runtime.engines.tensorrt.bundled import read_bundled
from edge_runtime.engines.tensorrt.engine import TensorrtEngine
from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import EngineAbsentError
from edge_runtime.engines.tensorrt.stack import Nvidia
from edge_runtime.errors import StorageError
from edge_runtime.records import Precision

log = logging.getLogger(__name__)


def open_device_engine(bundle: Bundle, precision: Precision, nvidia: Nvidia, cache: EngineCache) -> TensorrtEngine:
    """The engine of a bundle's graph for this device. Raises GpuError."""
    return open_engine(bundle, EngineKey.of(nvidia, bundle.graph_sha256(precision), precision), nvidia, cache)


def open_engine(bundle: Bundle, key: EngineKey, nvidia: Nvidia, cache: EngineCache) -> TensorrtEngine:
    """Load a key's engine with what the device made of it before; what it makes now is kept for the next time.

    The caller closes it. Raises GpuError.
    """
    known = cache.read_runtime(key)
    engine = TensorrtEngine(nvidia, serialized_engine(bundle, key, cache), key, known)
    if not engine.finished and (made := engine.runtime_cache()):
        try:
            cache.write_runtime(key, made)
        except StorageError as error:  # it serves all the same, and takes some seconds again at the next start
            log.info("what %s made of the engine is not kept: %s", nvidia.product, error)
    return engine


def serialized_engine(bundle: Bundle, key: EngineKey, cache: EngineCache) -> bytes:
    """The compiled engine: what this device compiled comes first, then what came in the bundle. Raises GpuError."""
    if cache.path(key).exists():
        return cache.read(key)
    try:
        return read_bundled(bundle, key, cache.machine_id)
    except EngineAbsentError:
        return cache.read(key)  # which says why there is none
