"""NVIDIA's own compiler as a check of our graphs, on a machine without GPU or driver.

    compiled = compile_ahead(bundle.graph(Precision.INT8).read_bytes())

TensorRT-RTX (`pip install '.[trt-check]'`) shares its parser and its rules with the TensorRT of a Jetson, and builds
ahead of time for a named GPU. What it makes here is thrown away: a device compiles its own engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    logger = _collector(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    serialized = None
    if parser.parse(graph):
        config = builder.create_builder_config()
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, GPU), 0)
        serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise EngineError(f"TensorRT-RTX {trt.__version__} does not compile the graph: {' | '.join(logger.errors)}")
    return AheadOfTime(f"TensorRT-RTX {trt.__version__}, {GPU}", network.num_layers, serialized.nbytes)


def _collector(trt: Any) -> Any:
    class Collector(trt.ILogger):  # type: ignore[misc]  # a class of a library without types
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR and NO_DRIVER not in message:
                self.errors.append(" ".join(message.split()))

    return Collector()
