"""INT8 by Q/DQ pairs, in the placement that TensorRT fuses.

Each chosen convolution gets a pair on its data (symmetric, one scale) and a pair on its weights (symmetric, one scale a
channel); its bias stays a float, and nothing stands between it and its activation. In the file the weights stay
floats in front of their pair, as TensorRT 8 wants them.

    int8 = with_qdq(model, network, ranges, chosen, biases)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edge_calibration.int8_plan import LEVELS, TINY_RANGE
from edge_calibration.quantisable_network import Network

SHRINKS = np.linspace(1.0, 0.8, 9)  # of a channel's largest weight: clipping it a little may cost less than it saves


def with_qdq(
    model: onnx.ModelProto,
    network: Network,
    ranges: Mapping[str, float],
    chosen: Collection[str],
    biases: Mapping[str, Sequence[float]] | None = None,
) -> onnx.ModelProto:
    """A copy of a float32 graph with Q/DQ pairs around the chosen convolutions.

    ranges: for the data of each, the largest magnitude that must be represented. biases: what is added to the bias of
    each, by output channel (`bias_corrections`); none: nothing. Raises KeyError for a convolution that
    is not in the network or has no range.
    """
    quantised = onnx.ModelProto()
    quantised.CopyFrom(model)
    graph = quantised.graph
    nodes: list[onnx.NodeProto] = []
    paired: dict[str, str] = {}  # tensor -> its dequantised copy
    for node in graph.node:
        if node.name in chosen:
            convolution = network.convolutions[node.name]
            if convolution.data not in paired:
                scale = np.array(max(ranges[convolution.data], TINY_RANGE) / LEVELS, np.float32)
                paired[convolution.data] = _pair(graph, nodes, convolution.data, convolution.data, scale)
            node.input[0] = paired[convolution.data]
            if convolution.weight_name not in paired:
                scales = weight_scales(convolution.weight)
                paired[convolution.weight_name] = _pair(
                    graph, nodes, convolution.weight_name, convolution.weight_name, scales
                )
            node.input[1] = paired[convolution.weight_name]
            if biases and node.name in biases:
                _add_to_bias(graph, node, biases[node.name])
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return quantised


def bias_corrections(network: Network, means: Mapping[str, NDArray[np.floating]]) -> dict[str, tuple[float, ...]]:
    """What rounding the weights takes away from each output channel on average, by the name of the convolution.

    means: of the data of each, for each input channel, float64 (c,). Source: Nagel et al., "Data-Free Quantization
    Through Weight Equalization and Bias Correction" (ICCV 2019), with measured means.
    """
    found = {}
    for name, convolution in network.convolutions.items():
        lost = (convolution.weight - dequantised(convolution.weight)).sum((2, 3), dtype=np.float64)  # (out, in)
        mean = means[convolution.data]
        groups = len(mean) // lost.shape[1]
        per_group = mean.reshape(groups, lost.shape[1])  # each group of outputs sees its own channels
        corrections = np.einsum("goi,gi->go", lost.reshape(groups, -1, lost.shape[1]), per_group).reshape(-1)
        found[name] = tuple(float(value) for value in corrections)
    return found


def weight_scales(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scale of each output channel of weights (out, in, kh, kw) with the least squared error, (out,)."""
    rows = weight.reshape(len(weight), -1)
    largest = np.maximum(np.abs(rows).max(1), TINY_RANGE)
    scales = largest[:, None] * SHRINKS / LEVELS  # (out, shrinks)
    levels = np.clip(np.rint(rows[:, None] / scales[:, :, None]), -LEVELS, LEVELS)
    errors = np.square(levels * scales[:, :, None] - rows[:, None]).sum(2)
    best = errors.argmin(1)
    return np.asarray(scales[np.arange(len(scales)), best], np.float32)


def dequantised(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is left of weights (out, in, kh, kw) after their Q/DQ pair."""
    scales = weight_scales(weight)[:, None, None, None]
    return np.asarray(np.clip(np.rint(weight / scales), -128, LEVELS) * scales, np.float32)


def _add_to_bias(graph: onnx.GraphProto, node: onnx.NodeProto, correction: Sequence[float]) -> None:
    """Give a convolution a bias of its own that has the correction in it."""
    added = np.asarray(correction, np.float32)
    if len(node.input) > 2 and node.input[2]:
        added = added + numpy_helper.to_array(next(i for i in graph.initializer if i.name == node.input[2]))
        del node.input[2]
    name = f"{node.name}_corrected_bias"
    graph.initializer.append(numpy_helper.from_array(added, name))
    node.input.append(name)


def _pair(
    graph: onnx.GraphProto, nodes: list[onnx.NodeProto], tensor: str, name: str, scale: NDArray[np.float32]
) -> str:
    """Add a Q/DQ pair behind a tensor; per channel (axis 0) when there are several scales. Returns the new tensor."""
    scale_name, zero_name = f"{name}_scale", f"{name}_zero"
    graph.initializer.append(numpy_helper.from_array(scale, scale_name))
    graph.initializer.append(numpy_helper.from_array(np.zeros(scale.shape, np.int8), zero_name))
    for kind, given, made in (
        ("QuantizeLinear", tensor, f"{name}_quantized"),
        ("DequantizeLinear", f"{name}_quantized", f"{name}_dequantized"),
    ):
        node = helper.make_node(kind, [given, scale_name, zero_name], [made], name=f"{name}_{kind}")
        if scale.ndim:
            node.attribute.append(helper.make_attribute("axis", 0))
        nodes.append(node)
    return f"{name}_dequantized"
