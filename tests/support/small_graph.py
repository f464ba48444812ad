"""A graph of a detector small enough to be computed by hand: two convolutions, an activation, a decision."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 8


def small_graph(weight: np.ndarray, bias: np.ndarray | None = None, pixels: float = 1.0) -> onnx.ModelProto:
    """image -> pixels * (image - 128) -> Conv (1x1, `weight` (out, 3)) -> Relu -> mean over channels -> map, score.

    Then comes a convolution to a single channel, as CPR's foreground has one, which does not count.
    """
    constants = {
        "middle": np.array(128, np.float32),
        "pixels": np.array(pixels, np.float32),
        "weight": weight.astype(np.float32)[:, :, None, None],
        "bias": (np.zeros(len(weight)) if bias is None else bias).astype(np.float32),
        "decision_weight": np.full((1, len(weight), 1, 1), 1 / len(weight), np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], "Cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["channels"], "Transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["channels", "middle"], ["centred"], "Sub"),
        helper.make_node("Mul", ["centred", "pixels"], ["scaled"], "Scale"),
        helper.make_node("Conv", ["scaled", "weight", "bias"], ["convolved"], "Conv"),
        helper.make_node("Relu", ["convolved"], ["activated"], "Relu"),
        helper.make_node("Conv", ["activated", "decision_weight"], ["decided"], "Decision"),
        helper.make_node("ReduceMean", ["decided"], ["anomaly_map"], "Mean", axes=[1], keepdims=0),
        helper.make_node("ReduceMax", ["anomaly_map"], ["score"], "Max", axes=[1, 2], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, [1]),
            helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, [1, SIDE, SIDE]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def small_picture(seed: int = 0) -> np.ndarray:
    """uint8 (1, SIDE, SIDE, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
