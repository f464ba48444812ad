"""What TensorRT does not take, found in a graph before any compiler sees it, with the node's name.

    for violation in violations(onnx.load("model.int8.onnx")):
        print(violation)

The rules hold for every version from 8.6 (JetPack 6) on; what only newer versions take is refused, too. Each was tried
with NVIDIA's own compiler, or is one of version 8's limits as its parser documents them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

OPSET = 17
LARGEST_K = 3840
INTEGER_KERNELS = {"ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"}
SHAPE_FROM_DATA = {"Compress", "NonZero", "Unique"}
TWO_DIMENSIONS = {"ArgMax", "ArgMin", "LogSoftmax", "Softmax"}
SCATTERS = {"ScatterElements", "ScatterND"}


@dataclass(frozen=True)
class Violation:
    """One thing that TensorRT would refuse. node: its name in the graph, with its operator; what: found and wanted."""

    node: str
    what: str

    def __str__(self) -> str:
        return f"{self.node}: {self.what}"


def require_compilable(graph: bytes) -> None:
    """Raises ValueError that names every violation: a graph that no device could compile is a bug in its maker."""
    if found := violations(onnx.load_from_string(graph)):
        raise ValueError("TensorRT would not take the graph: " + "; ".join(map(str, found)))


def violations(model: onnx.ModelProto) -> list[Violation]:
    """Everything that is wrong, in the graph's order; an empty list when a device can compile it."""
    tensors = _Tensors.of(model)
    found = list(_of_the_whole(model))
    for number, node in enumerate(model.graph.node):
        name = f"{node.name or f'node {number}'} ({node.op_type})"
        found += [Violation(name, what) for rule in RULES if (what := rule(node, tensors))]
    return found


@dataclass(frozen=True)
class _Tensors:
    """What is known of every tensor: its element type, its shape, and its value where it is a constant."""

    types: dict[str, int]
    shapes: dict[str, list[int]]
    constants: dict[str, NDArray[np.generic]]

    @staticmethod
    def of(model: onnx.ModelProto) -> _Tensors:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        values = [*inferred.input, *inferred.value_info, *inferred.output]
        constants = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant":
                value = next((a.t for a in node.attribute if a.name == "value"), None)
                if value is not None:
                    constants[node.output[0]] = onnx.numpy_helper.to_array(value)
        types = {v.name: v.type.tensor_type.elem_type for v in values}
        types |= {i.name: i.data_type for i in model.graph.initializer}
        shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
        shapes |= {i.name: list(i.dims) for i in model.graph.initializer}
        return _Tensors(types, shapes, constants)


def _of_the_whole(model: onnx.ModelProto) -> Iterator[Violation]:
    opsets = {o.domain: o.version for o in model.opset_import}
    if opsets.get("", 0) != OPSET:
        yield Violation("graph", f"opset {opsets.get('', 'unknown')}: TensorRT 8 takes up to {OPSET}, export with that")
    for value in (*model.graph.input, *model.graph.output):
        shape = value.type.tensor_type.shape.dim
        if any(not d.HasField("dim_value") or d.dim_value < 1 for d in shape):
            yield Violation(value.name, "its shape is not fixed: a device compiles for one size, export with constants")
    for value in model.graph.output:
        if value.type.tensor_type.elem_type == onnx.TensorProto.INT64:
            yield Violation(value.name, "an int64 output: TensorRT 8 has none, cast it to int32")


def _foreign_operator(node: onnx.NodeProto, tensors: _Tensors) -> str | None:
    return f"domain {node.domain!r} is no standard operator" if node.domain not in ("", "ai.onnx") else None


def _integer_kernel(node: onnx.NodeProto, tensors: _Tensors) -> str | None:
    if node.op_type not in INTEGER_KERNELS:
        return None
    return "integer kernels are onnxruntime's own form of INT8: use QuantizeLinear and DequantizeLinear"


def _shape_from_data(node: onnx.NodeProto, tensors: _Tensors) -> str | None:
    if node.op_type not in SHAPE_FROM_DATA:
        return None
    return "the shape of its output depends on the picture: use a mask or a constant K"


def _einsum(node: onnx.NodeProto, tensors: _Tensors) -> str | None:
    return "not every equation is taken: use MatMul, or Mul and ReduceSum" if node.op_type == "Einsum" else None


def _scatter_reduction(node: onnx.NodeProto, tensors: _Tensors) -> str | None:
    if node.op_type not in SCATTERS or (reduction := _attribute(node, "reduction", b"none")) == b"none":
        return None
    return f"reduction {reduction.decode()!r} is not taken: compare with Equal and sum instead"


def _byte_tensor(node: onnx.NodeProto, tensors: _Tensors) -> str | None:
    bytes_ = [name for name in node.input if tensors.types.get(name) == onnx.TensorProto.UINT8]
    if not bytes_ or node.op_type in (
        "Cast",
        "QuantizeLinear",
        "DequantizeLinear",
    ):  # these two have their own rule
        return None
    return f"takes the uint8 tensor {bytes_[0]}: TensorRT takes no uint8 but to cast it, put a Cast first"


def _quantisation(node: onnx.NodeProto, tensors: _Tensors) -> str | None:
    if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
        return None
    zero = node.input[2] if len(node.input) > 2 else ""
    taken = tensors.types.get(node.input[0]) if node.op_type == "DequantizeLinear" else tensors.types.get(zero)
    if taken == onnx.TensorProto.INT32:
        return "dequantises an int32 tensor, as quantised biases are: leave biases in float"
    if taken == onnx.TensorProto.UINT8 or (not zero and node.op_type == "QuantizeLinear"):
        return "quantises to uint8: TensorRT takes signed int8 only, quantise activations to QInt8"
    if zero and zero not in tensors.constants:
        return "its zero point is no constant"
    if zero and tensors.constants[zero].any():
        point = int(np.asarray(tensors.constants[zero]).flat[np.flatnonzero(tensors.constants[zero])[0]])
        return f"its zero point is {point}: TensorRT takes 0 only, quantise symmetrically"
    return None


def _top_k(node: onnx.NodeProto, tensors: _Tensors) -> str | None:
    if node.op_type != "TopK":
        return None
    if node.input[1] not in tensors.constants:
        return "its K is no constant: TensorRT 8 takes no other"
    k = int(tensors.constants[node.input[1]].flat[0])
    return f"K is {k}: TensorRT takes up to {LARGEST_K}" if k > LARGEST_K else None


def _one_dimension(node: onnx.NodeProto, tensors: _Tensors) -> str | None:
    if node.op_type not in TWO_DIMENSIONS or len(tensors.shapes.get(node.input[0], [0, 0])) > 1:
        return None
    return "its input has one dimension: TensorRT wants two at least, add an axis of length 1"


def _cubic(node: onnx.NodeProto, tensors: _Tensors) -> str | None:
    if node.op_type != "Resize" or _attribute(node, "mode", b"nearest") != b"cubic":
        return None
    return "cubic interpolation: TensorRT 8 has none, use linear"


def _attribute(node: onnx.NodeProto, name: str, default: bytes) -> bytes:
    return next((bytes(a.s) for a in node.attribute if a.name == name), default)


RULES: tuple[Callable[[onnx.NodeProto, _Tensors], str | None], ...] = (
    _foreign_operator, _integer_kernel, _shape_from_data, _einsum, _scatter_reduction, _byte_tensor, _quantisation,
    _top_k, _one_dimension, _cubic,
)  # fmt: skip
