"""Small graphs that follow the graph contract and break one rule of TensorRT each."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64


def graph_of(*nodes, constants=(), opset=17, outputs=(), side=SIDE) -> onnx.ModelProto:
    """`pixels` is the picture's mean over the channels, float32 (1, side, side), for the nodes to go on with."""
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, side, side, 3])
    given = [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1])]
    given.append(helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, [1, side, side]))
    before = [
        node("Cast", "image", "floats", to=TensorProto.FLOAT),
        node("ReduceMean", "floats", "pixels", axes=[3], keepdims=0),
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants]
    graph = helper.make_graph([*before, *nodes], "wrong", [image], [*given, *outputs], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def node(kind: str, given: str, made: str, **attributes) -> onnx.NodeProto:
    """Named `the-<kind>`; tensors by their names, with spaces between."""
    inputs = ["" if name == "-" else name for name in given.split()]
    return helper.make_node(kind, inputs, made.split(), name=f"the-{kind}", **attributes)


MAP = node("Identity", "pixels", "anomaly_map")
FLAT = node("Reshape", "pixels flat_shape", "flat")
MEAN = node("ReduceMean", "values", "score", axes=[0], keepdims=1)
LARGEST = node("ReduceMax", "anomaly_map", "score", axes=[1, 2], keepdims=0)
FLAT_SHAPE = ("flat_shape", np.array([-1]))
FOUR, THREE = ("four", np.array([1, 1, SIDE, SIDE])), ("three", np.array([1, SIDE, SIDE]))
SCALE, ZERO = ("scale", np.float32(0.5)), ("zero", np.int8(0))


def plain() -> onnx.ModelProto:
    return graph_of(MAP, LARGEST)


def quantised(zero: int, kind: type = np.int8) -> onnx.ModelProto:
    """Right with a signed zero point of 0."""
    nodes = (node("QuantizeLinear", "pixels scale zero", "q"), node("DequantizeLinear", "q scale zero", "anomaly_map"))
    return graph_of(*nodes, LARGEST, constants=(SCALE, ("zero", kind(zero))))


def largest_512(kind="TopK", k=512) -> onnx.ModelProto:
    return graph_of(
        MAP, FLAT, node(kind, "flat k", "values places"), MEAN, constants=(FLAT_SHAPE, ("k", np.array([k])))
    )


def int32_bias() -> onnx.ModelProto:
    return graph_of(
        node("Reshape", "pixels four", "picture"),
        node("QuantizeLinear", "picture scale zero", "q"),
        node("DequantizeLinear", "q scale zero", "x"),
        helper.make_node("DequantizeLinear", ["weight", "scale", "zero"], ["w"]),
        helper.make_node("DequantizeLinear", ["bias", "scale"], ["b"], name="the-bias"),
        node("Conv", "x w b", "convolved", pads=[1, 1, 1, 1]),
        node("Reshape", "convolved three", "anomaly_map"),
        LARGEST,
        constants=(FOUR, THREE, SCALE, ZERO, ("weight", np.ones((1, 1, 3, 3), np.int8)), ("bias", np.array([5], "i4"))),
    )


def one_dimension(kind="ArgMax") -> onnx.ModelProto:
    if kind == "Softmax":
        nodes = (node(kind, "flat", "shares", axis=0), node("ReduceMax", "shares", "score", keepdims=1))
    else:
        nodes = (node(kind, "flat", "place", axis=0, keepdims=1), node("Gather", "flat place", "score"))
    return graph_of(MAP, FLAT, *nodes, constants=(FLAT_SHAPE,))


def scattered() -> onnx.ModelProto:
    scatter = node("ScatterElements", "flat places ones", "values", reduction="add")
    return graph_of(
        *(MAP, FLAT, scatter, MEAN),
        constants=(FLAT_SHAPE, ("places", np.array([3])), ("ones", np.ones(1, np.float32))),
    )


def transposed_bytes() -> onnx.ModelProto:
    return graph_of(
        MAP,
        node("Transpose", "image", "turned", perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["turned"], ["turned_floats"], to=TensorProto.FLOAT),
        node("ReduceMax", "turned_floats", "score", axes=[1, 2, 3], keepdims=0),
    )


def non_zero() -> onnx.ModelProto:
    return graph_of(
        MAP,
        node("NonZero", "pixels", "where"),
        helper.make_node("Cast", ["where"], ["where_floats"], to=TensorProto.FLOAT),
        node("ReduceMax", "where_floats", "largest", axes=[0, 1], keepdims=0),
        node("Reshape", "largest flat_shape", "score"),
        constants=(FLAT_SHAPE,),
    )


def cubic(mode="cubic") -> onnx.ModelProto:
    return graph_of(
        MAP,
        node("Reshape", "pixels four", "picture"),
        node("Resize", "picture - scales", "larger", mode=mode),
        node("ReduceMax", "larger", "largest", axes=[2, 3], keepdims=0),
        node("Reshape", "largest flat_shape", "score"),
        constants=(FOUR, FLAT_SHAPE, ("scales", np.array([1, 1, 2, 2], np.float32))),
    )


def computed_k() -> onnx.ModelProto:
    nodes = (node("Shape", "pixels", "shape"), node("Gather", "shape last", "k"))
    return graph_of(
        *(MAP, FLAT, *nodes, node("TopK", "flat k", "values places"), MEAN),
        constants=(FLAT_SHAPE, ("last", np.array([2]))),
    )


def int64_output() -> onnx.ModelProto:
    places = helper.make_tensor_value_info("places", TensorProto.INT64, [5])
    model = largest_512(k=5)
    model.graph.output.append(places)
    return model


def einsum() -> onnx.ModelProto:
    product = node("Einsum", "pixels pixels", "product", equation="bhw,bwk->bhk")
    largest = node("ReduceMax", "product", "score", axes=[1, 2], keepdims=0)
    return graph_of(MAP, product, largest)


def integer_kernel() -> onnx.ModelProto:
    quantise = node("DynamicQuantizeLinear", "pixels", "bytes byte_scale byte_zero")
    back = helper.make_node("Cast", ["bytes"], ["anomaly_map"], to=TensorProto.FLOAT)
    return graph_of(quantise, back, LARGEST)


def foreign_operator() -> onnx.ModelProto:
    model = plain()
    model.graph.node[-1].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def open_shape() -> onnx.ModelProto:
    model = plain()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    return model
