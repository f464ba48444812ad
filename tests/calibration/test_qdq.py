from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from tests.support.made_detectors import HEIGHT, WIDTH, made_combined, made_cpr, made_patchcore
from tests.support.small_graph import small_graph, small_picture

from edge_build.graphs.export import export_graph
from edge_calibration.qdq import with_qdq
from edge_calibration.quantisable_network import constants_of, network_of
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine

ACTIVATIONS = {"Relu", "Clip"}


def quantised(detector, height, width):
    model = onnx.load_from_string(export_graph(detector, height, width))
    network = network_of(model)
    ranges = {convolution.data: 6.0 for convolution in network.convolutions.values()}
    return model, network, with_qdq(model, network, ranges, network.convolutions)


@pytest.fixture(scope="module", params=["patchcore", "cpr", "combined"])
def graphs(request):
    if request.param == "patchcore":
        return quantised(made_patchcore(), HEIGHT, WIDTH)
    if request.param == "combined":
        return quantised(made_combined(), HEIGHT, WIDTH)
    return quantised(made_cpr((64, 64)), 64, 64)


def test_exactly_the_networks_convolutions_have_pairs_on_data_and_weights(graphs):
    _, network, model = graphs
    producers = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        kinds = [producers[name].op_type if name in producers else None for name in node.input]
        if node.name in network.convolutions:
            assert kinds[:2] == ["DequantizeLinear", "DequantizeLinear"], node.name
            assert [producers[producers[name].input[0]].op_type for name in node.input[:2]] == ["QuantizeLinear"] * 2
        elif node.op_type != "DequantizeLinear":
            assert "DequantizeLinear" not in kinds, node.name


def test_scales_are_symmetric_one_for_data_and_one_a_channel_for_weights(graphs):
    _, network, model = graphs
    constants = constants_of(model)
    by_output = {node.output[0]: node for node in model.graph.node}
    for convolution in (node for node in model.graph.node if node.name in network.convolutions):
        for place, scales in ((0, ()), (1, network.convolutions[convolution.name].weight.shape[:1])):
            dequantise = by_output[convolution.input[place]]
            for pair in (dequantise, by_output[dequantise.input[0]]):
                scale, zero = (constants[name] for name in pair.input[1:])
                assert (scale.shape, zero.shape, zero.dtype, scale.dtype) == (scales, scales, np.int8, np.float32)
                assert not zero.any()
                assert (scale > 0).all()
                axes = [a.i for a in pair.attribute if a.name == "axis"]
                assert axes == ([0] if scales else [])


def test_biases_stay_floats_and_nothing_stands_between_a_convolution_and_its_activation(graphs):
    before, network, model = graphs
    types = {i.name: i.data_type for i in model.graph.initializer}
    for node in model.graph.node:
        if node.name in network.convolutions:
            assert all(types[name] == TensorProto.FLOAT for name in node.input[2:])

    def followers(graph, tensor):
        return sorted(node.name for node in graph.node if tensor in node.input and node.op_type in ACTIVATIONS)

    for convolution in network.convolutions.values():
        assert followers(model.graph, convolution.output) == followers(before.graph, convolution.output)


def test_the_graph_keeps_to_opset_17_and_standard_operators(graphs):
    _, _, model = graphs
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert {node.domain for node in model.graph.node} == {""}


def test_the_placement_is_that_of_onnxruntimes_quantizer(tmp_path):
    """With the options that give the placement of NVIDIA's own tool; our scales may be others."""
    model, _, ours = quantised(made_patchcore(), HEIGHT, WIDTH)
    onnx.save(model, tmp_path / "fp32.onnx")

    pictures = [{"image": np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)}]

    class Once(CalibrationDataReader):
        def get_next(self):
            return pictures.pop() if pictures else None

    quantize_static(
        tmp_path / "fp32.onnx", tmp_path / "theirs.onnx", Once(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, op_types_to_quantize=["Conv"],
        extra_options={
            "ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False, "AddQDQPairToWeight": True,
            "OpTypesToExcludeOutputQuantization": ["Conv", "Add", "Clip"],
        },
    )  # fmt: skip

    def placement(found):
        by_output = {node.output[0]: node for node in found.graph.node}

        def source(tensor):
            dequantise = by_output[tensor]
            return dequantise.op_type, by_output[dequantise.input[0]].op_type, by_output[dequantise.input[0]].input[0]

        return {n.output[0]: (*map(source, n.input[:2]), *n.input[2:]) for n in found.graph.node if n.op_type == "Conv"}

    assert placement(ours) == placement(onnx.load(tmp_path / "theirs.onnx"))


def test_the_arithmetic_is_that_of_eight_bits():
    """Against the same in NumPy: float32 sums of whole numbers below 2^24 are exact up to the last rounding."""
    weight = np.random.default_rng(1).normal(size=(5, 3))
    bias = np.linspace(-3, 3, 5)
    model = small_graph(weight, bias)
    network = network_of(model)
    int8 = with_qdq(model, network, {"scaled": 100.0}, {"Conv"})
    constants = constants_of(int8)
    picture = small_picture()

    levels = np.clip(np.rint((picture[0].astype(np.float32) - 128) / np.float32(100 / 127)), -128, 127)
    scales = constants["weight_scale"]
    weights = np.clip(np.rint(weight.astype(np.float32) / scales[:, None]), -128, 127)
    sums = levels.astype(np.int64) @ weights.astype(np.int64).T
    expected = np.maximum(sums * (scales * np.float64(np.float32(100 / 127))) + bias, 0).mean(2)
    with OnnxruntimeEngine(int8.SerializeToString(), threads=1) as engine:
        found = engine.infer(picture)

    np.testing.assert_allclose(found.anomaly_map, expected, rtol=1e-5, atol=1e-4)


def test_a_tensor_that_is_always_zero_gets_a_scale():
    model = small_graph(np.zeros((2, 3)))
    int8 = with_qdq(model, network_of(model), {"scaled": 0.0}, {"Conv"})
    with OnnxruntimeEngine(int8.SerializeToString(), threads=1) as engine:
        assert engine.infer(small_picture()).score == 0
