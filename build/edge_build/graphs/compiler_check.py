"""NVIDIA's own compiler as a check of our graphs, on a machine without GPU or driver.

    compiled = compile_ahead(bundle.graph(Precision.INT8).read_bytes())

TensorRT-RTX (`pip install '.[trt-check]'`) shares its parser and its rules with the TensorRT of a Jetson, and builds
ahead of time for a named GPU. What it makes here is thrown away: a device compiles its own engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.engines.tensorrt.stack import message_collector
from edge_runtime.errors import ConfigError, EngineError

GPU = "SM86"  # an Ampere like Orin's SM87, which TensorRT-RTX does not know
NO_DRIVER = "cudaError 35"  # the compiler looks for a driver, says so, and goes on without


@dataclass(frozen=True)
class AheadOfTime:
    """What compiling gave: the network's layers, before they are fused, and the engine's size in bytes."""

    compiler: str
    layers: int
    size: int


def compile_ahead(graph: bytes) -> AheadOfTime:
    """Compile a serialised ONNX graph as a strongly typed network, which keeps every precision as the graph has it.

    Raises EngineError with the compiler's own words when it refuses, ConfigError when it is not installed.
    """
    try:
        import tensorrt_rtx as trt
    except ImportError as error:
        raise ConfigError(f"NVIDIA's compiler cannot be loaded ({error}): pip install '.[trt-check]'") from error
    messages = message_collector(trt)
    builder = trt.Builder(messages)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, messages)
    serialized = None
    if parser.parse(graph):
        config = builder.create_builder_config()
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, GPU), 0)
        serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        errors = " | ".join(error for error in messages.errors if NO_DRIVER not in error)
        raise EngineError(f"TensorRT-RTX {trt.__version__} does not compile the graph: {errors}")
    return AheadOfTime(f"TensorRT-RTX {trt.__version__}, {GPU}", network.num_layers, serialized.nbytes)
