"""Which part of a detector's graph is the network: what may become FP16, and which convolutions INT8.

The network is everything from the picture to the feature maps: convolutions, their activations and what only moves or
averages maps. What follows (codebook, KL, norms, distances, top-K, score) decides by small differences of large
numbers, and stays in FP32.

    network = network_of(onnx.load_from_string(graph))
    network.convolutions["/backbone/stem/Conv"].data  # the tensor that goes in
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

# What may follow a convolution and still be network: it makes no number much larger than those that it gets.
FOLLOWERS = {
    "Clip", "Relu", "Sigmoid", "Mul", "Add", "AveragePool", "GlobalAveragePool", "MaxPool", "Resize", "Concat",
}  # fmt: skip


@dataclass(frozen=True)
class Convolution:
    """A convolution of the network, by the names in the graph; `weight` float32 (out, in, kh, kw)."""

    name: str
    data: str
    output: str
    weight_name: str
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """convolutions: by name, in the graph's order. nodes: the names of all nodes of the network, these included.

    outputs: the tensors that these make.
    """

    convolutions: Mapping[str, Convolution]
    nodes: frozenset[str]
    outputs: frozenset[str]


def network_of(model: onnx.ModelProto) -> Network:
    """The network of a detector's graph, whose nodes are in topological order.

    A convolution to a single channel is a decision (CPR's foreground), not a part of the network.
    Raises ValueError for a graph without names or without a convolution.
    """
    constants = constants_of(model)
    convolutions: dict[str, Convolution] = {}
    nodes: set[str] = set()
    mapped: set[str] = set()  # tensors that the network makes
    for node in model.graph.node:
        if not node.name:
            raise ValueError(f"a {node.op_type} of the graph has no name")
        if node.op_type == "Conv" and node.input[1] in constants and len(constants[node.input[1]]) > 1:
            weight = constants[node.input[1]]
            convolutions[node.name] = Convolution(node.name, node.input[0], node.output[0], node.input[1], weight)
        elif not (node.op_type in FOLLOWERS and _given(node, constants) and _given(node, constants) <= mapped):
            continue
        nodes.add(node.name)
        mapped.update(node.output)
    if not convolutions:
        raise ValueError("the graph has no convolution")
    return Network(convolutions, frozenset(nodes), frozenset(mapped))


def multiply_adds(model: onnx.ModelProto, network: Network) -> dict[str, int]:
    """How much work each convolution of the network is, in a graph with fixed shapes."""
    values = onnx.shape_inference.infer_shapes(model).graph.value_info
    sizes = {value.name: [int(d.dim_value) for d in value.type.tensor_type.shape.dim] for value in values}
    return {name: int(np.prod(sizes[one.output][2:]) * one.weight.size) for name, one in network.convolutions.items()}


def constants_of(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    """The graph's initialisers by name, whatever their type."""
    return {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}


def _given(node: onnx.NodeProto, constants: Mapping[str, object]) -> set[str]:
    """The inputs that are computed."""
    return {name for name in node.input if name and name not in constants}
