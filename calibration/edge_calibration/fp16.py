"""FP16 by types in the graph: the network computes in FP16, all else is an FP32 island.

Precision lives in the graph, as TensorRT's strongly typed networks want it: casts stand where the types change, and
inputs and outputs keep their types. Q/DQ pairs and the convolutions between them stay float32, which is the only type
that opset 17 gives them; TensorRT makes one INT8 kernel of each.

    fp16 = with_fp16(model, network.nodes)
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_calibration.quantisable_network import constants_of

LARGEST = float(np.finfo(np.float16).max)
NAMES: dict[int, str] = {TensorProto.FLOAT16: "fp16", TensorProto.FLOAT: "fp32"}


def with_fp16(model: onnx.ModelProto, chosen: Collection[str]) -> onnx.ModelProto:
    """A copy of a float32 graph in which the chosen nodes compute in FP16.

    chosen: names of nodes whose inputs and outputs are all floats, constants of Resize apart. Raises ValueError when
    a constant of theirs does not fit into FP16.
    """
    fp16 = onnx.ModelProto()
    fp16.CopyFrom(model)
    graph = fp16.graph
    constants = constants_of(model)
    nodes: list[onnx.NodeProto] = []
    types: dict[str, int] = {}  # of what chosen nodes make: FP16; everything else keeps its type
    made: dict[tuple[str, int], str] = {}

    def as_type(tensor: str, wanted: int) -> str:
        """The tensor in the wanted type: itself, or a cast that is shared by all who want it."""
        if types.get(tensor, TensorProto.FLOAT) == wanted:
            return tensor
        if (tensor, wanted) not in made:
            name = f"{tensor}_{NAMES[wanted]}"
            if tensor in constants:
                graph.initializer.append(numpy_helper.from_array(_as_fp16(tensor, constants[tensor]), name))
            else:
                nodes.append(helper.make_node("Cast", [tensor], [name], name=f"{name}_Cast", to=wanted))
            made[tensor, wanted] = name
        return made[tensor, wanted]

    for node in graph.node:
        inside = node.name in chosen
        for place, tensor in enumerate(node.input):
            if not tensor or (node.op_type == "Resize" and place > 0):
                continue
            if inside:
                node.input[place] = as_type(tensor, TensorProto.FLOAT16)
            elif tensor in types:
                node.input[place] = as_type(tensor, TensorProto.FLOAT)
        if inside:
            types.update(dict.fromkeys(node.output, TensorProto.FLOAT16))
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]  # it lists the types before
    _drop_unused(graph)
    return fp16


def fp16_nodes(model: onnx.ModelProto, network_nodes: Collection[str], quantised: Collection[str]) -> set[str]:
    """The network's nodes that become FP16 when some convolutions are INT8.

    An activation or a sum stays with the convolutions that it follows: a cast between them would part what TensorRT
    makes one kernel of. So a node is FP16 when nothing that it gets comes straight from an INT8 convolution.
    """
    chosen: set[str] = set()
    floats: set[str] = set()  # tensors that stay float32
    for node in model.graph.node:
        if node.name not in network_nodes:
            continue
        if node.name in quantised or (node.op_type != "Conv" and any(tensor in floats for tensor in node.input)):
            floats.update(node.output)
        else:
            chosen.add(node.name)
    return chosen


def _as_fp16(name: str, values: NDArray[np.float32]) -> NDArray[np.float16]:
    if np.abs(values).max(initial=0) > LARGEST:
        raise ValueError(f"{name} reaches {np.abs(values).max():.3g}, which FP16 cannot hold")
    return values.astype(np.float16)


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {tensor for node in graph.node for tensor in node.input}
    for unused in [i for i in graph.initializer if i.name not in used]:
        graph.initializer.remove(unused)
