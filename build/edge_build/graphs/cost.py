"""How much work a graph is: multiply-adds and bytes of every kernel that a compiler is left with.

    for kernel in kernels_of(onnx.load("model.fp16.onnx")):
        print(kernel.name, kernel.multiply_adds, kernel.moved)

What a compiler folds away is folded here as well: constants, changes of shape, and whatever works on one element at a
time, which becomes part of the kernel that made the element. What is left reads its inputs once and writes its output
once; that is the least that it can move.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod

import onnx

from edge_runtime.records import Precision

SHAPE_ONLY = {"Concat", "Constant", "Flatten", "Identity", "Reshape", "Shape", "Squeeze", "Transpose", "Unsqueeze"}
ELEMENTWISE = {
    "Abs", "Add", "Cast", "Clip", "DequantizeLinear", "Div", "Equal", "Exp", "Expand", "Greater", "Less", "Log", "Max",
    "Min", "Mul", "Neg", "Pad", "Pow", "QuantizeLinear", "Relu", "Sigmoid", "Slice", "Split", "Sqrt", "Sub", "Where",
}  # fmt: skip
BYTES: dict[int, int] = {
    onnx.TensorProto.FLOAT: 4, onnx.TensorProto.FLOAT16: 2, onnx.TensorProto.INT8: 1, onnx.TensorProto.UINT8: 1,
    onnx.TensorProto.INT32: 4, onnx.TensorProto.INT64: 4, onnx.TensorProto.BOOL: 1,
}  # fmt: skip


@dataclass(frozen=True)
class Kernel:
    """One launch on the GPU. moved: bytes of inputs, weights and output. dense: a product that tensor cores can do; a
    depthwise convolution is none."""

    name: str
    operator: str
    precision: Precision
    multiply_adds: int
    moved: int
    dense: bool


def kernels_of(model: onnx.ModelProto) -> list[Kernel]:
    """The kernels of a graph with fixed shapes, in its order."""
    graph = _Graph(model)
    return [graph.kernel(node) for node in model.graph.node if graph.is_kernel(node)]


def operators_of(model: onnx.ModelProto) -> Counter[str]:
    """How many nodes of each kind there are."""
    return Counter(node.op_type for node in model.graph.node)


class _Graph:
    def __init__(self, model: onnx.ModelProto) -> None:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        values = (*inferred.input, *inferred.value_info, *inferred.output)
        self.shapes: dict[str, list[int]] = {}
        self.types: dict[str, int] = {}
        for value in values:
            tensor = value.type.tensor_type
            self.shapes[value.name] = [int(d.dim_value) for d in tensor.shape.dim]
            self.types[value.name] = int(tensor.elem_type)
        for constant in model.graph.initializer:
            self.shapes[constant.name], self.types[constant.name] = list(constant.dims), int(constant.data_type)
        self.makers = {output: node for node in model.graph.node for output in node.output}
        self.takers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.takers.setdefault(name, []).append(node)
        self.constant = {i.name for i in model.graph.initializer}
        for node in model.graph.node:  # in topological order
            if node.op_type == "Constant" or all(name in self.constant for name in node.input if name):
                self.constant.update(node.output)

    def is_kernel(self, node: onnx.NodeProto) -> bool:
        return node.op_type not in SHAPE_ONLY | ELEMENTWISE and node.output[0] not in self.constant

    def kernel(self, node: onnx.NodeProto) -> Kernel:
        return Kernel(
            name=node.name,
            operator=node.op_type,
            precision=self._precision(node),
            multiply_adds=self._multiply_adds(node),
            moved=self._moved(node),
            dense=node.op_type in ("MatMul", "Gemm") or (node.op_type == "Conv" and self._group(node) == 1),
        )

    def _moved(self, node: onnx.NodeProto) -> int:
        made = self._written(node.output[0])
        if node.op_type == "Gather":
            return 2 * made  # it reads what it gives, and nothing else of a bank
        return made + sum(self._size(self._source(name)) for name in node.input if name)

    def _written(self, name: str) -> int:
        """Bytes of an output: of what its activation and quantisation make of it, which are part of the kernel."""
        takers = self.takers.get(name, [])
        while len(takers) == 1 and takers[0].op_type in ("Relu", "Clip"):
            takers = self.takers.get(takers[0].output[0], [])
        quantised = takers and all(taker.op_type == "QuantizeLinear" for taker in takers)
        return self._elements(name) if quantised else self._size(name)

    def _precision(self, node: onnx.NodeProto) -> Precision:
        maker = self.makers.get(node.input[0])
        if node.op_type == "Conv" and maker is not None and maker.op_type == "DequantizeLinear":
            return Precision.INT8
        is_fp16 = self.types.get(node.output[0]) == onnx.TensorProto.FLOAT16
        return Precision.FP16 if is_fp16 else Precision.FP32

    def _multiply_adds(self, node: onnx.NodeProto) -> int:
        out = self._elements(node.output[0])
        if node.op_type == "Conv":
            return out * int(prod(self.shapes[node.input[1]][1:]))
        if node.op_type in ("MatMul", "Gemm"):
            return out * self.shapes[node.input[0]][-1]
        return self._elements(node.input[0])  # each element is looked at once

    def _group(self, node: onnx.NodeProto) -> int:
        return next((int(a.i) for a in node.attribute if a.name == "group"), 1)

    def _source(self, name: str) -> str:
        """The tensor that is really read: an INT8 weight or activation, not what dequantising makes of it."""
        maker = self.makers.get(name)
        return maker.input[0] if maker is not None and maker.op_type == "DequantizeLinear" else name

    def _size(self, name: str) -> int:
        return self._elements(name) * BYTES.get(self.types.get(name, 0), 4)

    def _elements(self, name: str) -> int:
        return int(prod(self.shapes.get(name, [0])))
