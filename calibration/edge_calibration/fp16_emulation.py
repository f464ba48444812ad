"""What a device's FP16 and INT8 arithmetic gives, computed on a CPU.

A CPU would give other numbers than a device in two ways, both without a word. onnxruntime runs FP16 graphs in FP32 and
drops the casts that it puts in between, so nothing is rounded. And on CPUs without VNNI its fused INT8 kernels
saturate in 16 bits. So the graph is rewritten for judging: every FP16 tensor becomes a float32 one that is rounded to
FP16 and back, and Q/DQ pairs are computed in float, which is exact for 8-bit values; `OnnxruntimeEngine` sees to the
second.

    with OnnxruntimeEngine(emulated_graph(fp16).SerializeToString()) as engine: ...
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FP16 = TensorProto.FLOAT16


def emulated_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph in float32 that gives what FP16 units give which sum up in FP32 and round each result.

    A graph without FP16 is returned as it is.
    """
    fp16_tensors = {i.name for i in model.graph.initializer if i.data_type == FP16}
    fp16_tensors |= {
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Cast" and any(a.name == "to" and a.i == FP16 for a in node.attribute)
    }
    if not fp16_tensors:
        return model
    emulated = onnx.ModelProto()
    emulated.CopyFrom(model)
    for initializer in emulated.graph.initializer:
        if initializer.data_type == FP16:
            values = numpy_helper.to_array(initializer).astype(np.float32)
            initializer.CopyFrom(numpy_helper.from_array(values, initializer.name))
    nodes: list[onnx.NodeProto] = []
    for node in emulated.graph.node:
        is_cast = node.op_type == "Cast"
        if is_cast and node.output[0] in fp16_tensors:
            nodes += _rounded(node.input[0], node.output[0])
            continue
        nodes.append(node)
        if not is_cast and any(tensor in fp16_tensors for tensor in node.input):
            fp16_tensors.update(node.output)
            raw = [f"{tensor}_unrounded" for tensor in node.output]
            for number, (before, after) in enumerate(zip(raw, list(node.output), strict=True)):
                node.output[number] = before
                nodes += _rounded(before, after)
    del emulated.graph.node[:]
    emulated.graph.node.extend(nodes)
    return emulated


def _rounded(given: str, made: str) -> list[onnx.NodeProto]:
    """Nodes that round a float32 tensor to FP16 and give it back as float32."""
    return [
        helper.make_node("Cast", [given], [f"{made}_rounded"], name=f"{made}_rounded_Cast", to=FP16),
        helper.make_node("Cast", [f"{made}_rounded"], [made], name=f"{made}_back_Cast", to=TensorProto.FLOAT),
    ]
