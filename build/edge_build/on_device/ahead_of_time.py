"""Compiling for GPUs that are not here: TensorRT-RTX, on a host without GPU or driver.

    ahead = build_ahead(graph, ("8.6", "8.9", "12.0"))
    ahead.serialized  # one engine for all of them; each device finishes it when it loads it

It is also the check of every graph by NVIDIA's own compiler, whose parser and rules the TensorRT of a Jetson shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_build.on_device.network import network_of_graph
from edge_runtime.engines.tensorrt.errors import CompilerRefusedError
from edge_runtime.engines.tensorrt.library import Library
from edge_runtime.engines.tensorrt.stack import message_collector
from edge_runtime.errors import ConfigError

NO_DRIVER = "cudaError 35"  # the compiler looks for a driver, says so, and goes on without
AMPERE = ("8.6",)  # like Orin's 8.7, which TensorRT-RTX does not know


@dataclass(frozen=True)
class AheadOfTime:
    """What compiling gave. version: of TensorRT-RTX. layers: of the network, before they are fused."""

    version: str
    computes: tuple[str, ...]
    layers: int
    serialized: bytes


def build_ahead(graph: bytes, computes: Sequence[str] = AMPERE) -> AheadOfTime:
    """Compile a serialised ONNX graph for GPUs of these compute capabilities.

    Raises CompilerRefusedError with the compiler's own words when it refuses, ConfigError when it is not installed or
    does not know a compute capability.
    """
    trt = import_compiler()
    product, messages = f"{Library.TENSORRT_RTX.label} {trt.__version__}", message_collector(trt)
    known = known_computes(trt)
    if unknown := [compute for compute in computes if compute not in known]:
        raise ConfigError(
            f"{product} does not compile for compute capability {', '.join(unknown)}: it knows {', '.join(known)}"
        )
    builder = trt.Builder(messages)
    network, config = network_of_graph(trt, builder, graph, messages, product)
    config.num_compute_capabilities = len(computes)
    for number, compute in enumerate(computes):
        config.set_compute_capability(known[compute], number)
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        reason = " | ".join(error for error in messages.errors if NO_DRIVER not in error) or "it gave no reason"
        raise CompilerRefusedError(f"{product} does not compile the graph: {reason}")
    return AheadOfTime(str(trt.__version__), tuple(computes), int(network.num_layers), bytes(serialized))


def import_compiler() -> Any:
    """The module `tensorrt_rtx`. Raises ConfigError when it is not installed."""
    try:
        import tensorrt_rtx
    except (ImportError, OSError) as error:
        raise ConfigError(f"NVIDIA's compiler cannot be loaded ({error}): pip install '.[rtx]'") from error
    return tensorrt_rtx


def known_computes(trt: Any) -> dict[str, Any]:
    """The compute capabilities that it compiles for, e.g. 8.6, in ascending order."""
    numbers = sorted(int(name[2:]) for name in dir(trt.ComputeCapability) if name[:2] == "SM" and name[2:].isdigit())
    return {f"{number // 10}.{number % 10}": getattr(trt.ComputeCapability, f"SM{number}") for number in numbers}
