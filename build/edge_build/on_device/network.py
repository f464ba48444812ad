"""From a graph to a network that NVIDIA's compiler builds, with every precision as the graph has it.

    network, config = network_of_graph(trt, builder, graph, messages)

Where the compiler knows strongly typed networks (TensorRT 10 and later, TensorRT-RTX) it keeps every type as it is in
the graph. Version 8 does not know them: it gets the flags that allow what the graph asks for, and a constraint on every
layer. What a version has is found by its names, not by its number.
"""

from __future__ import annotations

from typing import Any

from edge_runtime.engines.tensorrt.errors import CompilerRefusedError

MEBIBYTE = 1 << 20


def network_of_graph(
    trt: Any, builder: Any, graph: bytes, messages: Any, product: str, weakly: bool = False
) -> tuple[Any, Any]:
    """The parsed network and a configuration to build it with. weakly: the compiler may choose types, as for its own
    calibration. product: the compiler's name and version. Raises CompilerRefusedError with every node that fails."""
    network = builder.create_network(network_flags(trt, weakly))
    parser = trt.OnnxParser(network, messages)
    if not parser.parse(graph):
        raise CompilerRefusedError(f"{product} does not take the graph: {parser_errors(parser)}")
    config = builder.create_builder_config()
    # TF32 has the mantissa of FP16, and what is FP32 in a graph is so because FP16 cannot hold it (decisions/0013).
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for `edge-build inspect ENGINE`
    if not weakly and not hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
        _allow_types(trt, network, config)
    return network, config


def network_flags(trt: Any, weakly: bool = False) -> int:
    """Strongly typed where TensorRT has it and is not to choose itself; else the explicit batch that 8 asks for."""
    known = trt.NetworkDefinitionCreationFlag
    name = "STRONGLY_TYPED" if hasattr(known, "STRONGLY_TYPED") and not weakly else "EXPLICIT_BATCH"
    return 1 << int(getattr(known, name))


def parser_errors(parser: Any) -> str:
    """Every error with its node; older versions do not know the node's name."""
    found = []
    for error in (parser.get_error(number) for number in range(parser.num_errors)):
        node = error.node_name() if hasattr(error, "node_name") else f"node {error.node()}"
        found.append(f"{node}: {' '.join(error.desc().split())}")
    return " | ".join(found)


def _allow_types(trt: Any, network: Any, config: Any) -> None:
    """Version 8 chooses precisions itself among those that are allowed: allow what the graph has, and hold it to that.

    What reads a dequantised tensor is left alone: TensorRT makes one INT8 layer of the three.
    """
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    kinds = {tensor.dtype for layer in layers for tensor in _outputs(layer)}
    if trt.DataType.INT8 in kinds:
        config.set_flag(trt.BuilderFlag.INT8)
    if trt.DataType.HALF not in kinds:
        return
    config.set_flag(trt.BuilderFlag.FP16)
    config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    quantised = {layer.name for layer in layers if trt.DataType.INT8 in (t.dtype for t in _tensors(layer))}
    dequantised = {tensor.name for layer in layers if layer.name in quantised for tensor in _outputs(layer)}
    for layer in layers:
        if layer.name in quantised or dequantised & {tensor.name for tensor in _tensors(layer)}:
            continue
        for number, tensor in enumerate(_outputs(layer)):
            if tensor.dtype in (trt.DataType.FLOAT, trt.DataType.HALF):
                layer.precision = tensor.dtype
                layer.set_output_type(number, tensor.dtype)


def _outputs(layer: Any) -> list[Any]:
    return [layer.get_output(number) for number in range(layer.num_outputs)]


def _tensors(layer: Any) -> list[Any]:
    given = [layer.get_input(number) for number in range(layer.num_inputs)]
    return [tensor for tensor in given if tensor is not None] + _outputs(layer)
