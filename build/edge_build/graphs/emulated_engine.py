"""The engine that judges on the host: it computes what a device with FP16 or INT8 units would."""

from __future__ import annotations

from pathlib import Path

import onnx

from edge_calibration.fp16_emulation import emulated_graph
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.engines.protocol import Engine

EMULATED = "FP16 and INT8 are emulated on this CPU, to the number: the times say nothing about a device."


def emulated_engine(graph: Path | bytes, threads: int = 0, spinning: bool = True) -> Engine:
    """A graph of any precision on the CPU, with its types' arithmetic (`edge_calibration.fp16_emulation`).

    Raises EngineError when the graph does not load.
    """
    content = graph.read_bytes() if isinstance(graph, Path) else graph
    model = onnx.load_from_string(content)
    emulated = emulated_graph(model)
    return OnnxruntimeEngine(graph if emulated is model else emulated.SerializeToString(), threads, spinning=spinning)
