"""`edge-build inspect ENGINE`: what TensorRT made of a graph, on the device that made it.

print(engine_text(Path("/var/lib/edge/engines/....engine"), find_nvidia, machine_id()))
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge_runtime.engines.tensorrt.engine_cache import EngineCache
from edge_runtime.engines.tensorrt.engine_key import EngineKey
from edge_runtime.engines.tensorrt.errors import EngineDamagedError
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.engines.tensorrt.stack import Nvidia, message_collector
from edge_runtime.records import Precision


def engine_text(path: Path, find: Callable[[Library], Nvidia], machine_id: str, every_layer: bool = False) -> str:
    """Lines for a terminal. every_layer: one for each, otherwise how many there are of each kind and number type.

    Raises GpuError when this device did not write the engine, or cannot load it.
    """
    cache = EngineCache(path.parent, machine_id)
    record = cache.record(path)
    key = EngineKey(
        *(record.graph_sha256, Precision(record.precision), record.tensorrt, record.gpu, record.compute),
        record.calibration,
        record.library,
    )
    serialized = cache.read(key)
    lines = [
        path.name,
        f"  {record.precision}{f' by {key.calibrator} calibration' if key.calibration else ''} of graph "
        f"{record.graph_sha256[:16]}, {record.length / 1e6:.1f} MB, this device's own",
        f"  for {record.gpu}, compute capability {record.compute}, {record.library.label} {record.tensorrt}",
    ]
    return "\n".join([*lines, *_layer_lines(find(key.library), serialized, key, every_layer)])


def _layer_lines(nvidia: Nvidia, serialized: bytes, key: EngineKey, every_layer: bool) -> Iterator[str]:
    trt, messages = nvidia.trt, message_collector(nvidia.trt)
    context = nvidia.cuda.Device(0).make_context()
    try:
        runtime = trt.Runtime(messages)
        engine = runtime.deserialize_cuda_engine(serialized)
        if engine is None:
            raise EngineDamagedError(f"{nvidia.product} does not load {key.stem}: {messages.last_errors()}")
        description = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
        layers = [_layer(entry) for entry in json.loads(description).get("Layers", ())]
        del engine, runtime
    finally:
        context.detach()
    kinds = Counter((kind, types) for _, kind, types in layers)
    yield f"  {len(layers)} layers:"
    if every_layer:
        yield from (f"    {kind:<24} {types:<16} {name}" for name, kind, types in layers)
    else:
        yield from (f"    {count:>4} {kind:<24} {types}" for (kind, types), count in kinds.most_common())


def _layer(entry: Any) -> tuple[str, str, str]:
    """Name, kind and number types of the outputs. Engines without details have names alone."""
    if isinstance(entry, str):
        return entry, "", ""
    outputs = [str(output.get("Format/Datatype", "")) for output in entry.get("Outputs", ())]
    types = sorted({_number_type(output) for output in outputs})
    return str(entry.get("Name", "")), str(entry.get("LayerType", "")), ", ".join(types)


def _number_type(described: str) -> str:
    """The number type in words such as `Row major linear FP16 format`."""
    words = described.upper().replace("FLOAT32", "FP32").replace("FLOAT16", "FP16").replace("HALF", "FP16")
    return next((kind for kind in ("FP16", "FP32", "INT8", "INT32", "INT64", "BOOL", "UINT8") if kind in words), "")
