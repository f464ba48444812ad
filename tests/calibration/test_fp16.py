from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from tests.support.made_detectors import HEIGHT, WIDTH, made_combined, made_cpr, made_patchcore
from tests.support.made_network import made_pictures
from tests.support.small_graph import small_graph

from edge_build.graphs.export import export_graph
from edge_calibration.fp16 import fp16_nodes, with_fp16
from edge_calibration.fp16_emulation import emulated_graph
from edge_calibration.qdq import with_qdq
from edge_calibration.quantisable_network import constants_of, network_of
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine

HALF, FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT


def types_of(model):
    """The type of every tensor, as the shape inference of onnx finds it: a strict check of the casts as well."""
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    found = {v.name: v.type.tensor_type.elem_type for v in (*inferred.graph.value_info, *inferred.graph.output)}
    return found | {i.name: i.data_type for i in model.graph.initializer}


@pytest.fixture(scope="module", params=["patchcore", "cpr", "combined"])
def graph(request):
    if request.param == "patchcore":
        return onnx.load_from_string(export_graph(made_patchcore(), HEIGHT, WIDTH))
    detector = made_cpr((HEIGHT, WIDTH)) if request.param == "cpr" else made_combined()
    return onnx.load_from_string(export_graph(detector, HEIGHT, WIDTH))


def measured(model, pictures):
    with OnnxruntimeEngine(emulated_graph(model).SerializeToString(), threads=1) as engine:
        return [engine.infer(picture[None]) for picture in pictures]


def test_the_network_is_fp16_and_everything_else_fp32(graph):
    network = network_of(graph)
    fp16 = with_fp16(graph, network.nodes)
    onnx.checker.check_model(fp16, full_check=True)
    types = types_of(fp16)

    for node in fp16.graph.node:
        if node.name in network.nodes:
            assert types[node.output[0]] == HALF, node.name
        elif node.op_type in {"MatMul", "Log", "Sqrt", "ReduceSum", "ReduceL2", "Mul", "Div"}:
            assert types[node.output[0]] == FLOAT, node.name
    assert [v.type.tensor_type.elem_type for v in fp16.graph.output] == [FLOAT, FLOAT]
    assert {node.domain for node in fp16.graph.node} == {""}


def test_the_fp16_graph_measures_what_fp32_measures(graph):
    pictures = made_pictures(3, HEIGHT, WIDTH, seed=5).numpy()
    fp16 = with_fp16(graph, network_of(graph).nodes)
    for before, after in zip(measured(graph, pictures), measured(fp16, pictures), strict=True):
        # FP16 has 11 bits; a dozen layers of rounding stay below a hundredth
        assert after.score == pytest.approx(before.score, rel=0.01)
        assert np.abs(after.anomaly_map - before.anomaly_map).mean() < 0.01 * before.anomaly_map.max()


def test_patchcores_product_of_distances_is_an_island_because_fp16_loses_the_squared_norm():
    """|x|^2 + |m|^2 - 2 x.m cancels: the small distances of good patches drown in the rounding of large squares."""
    graph = onnx.load_from_string(export_graph(made_patchcore(), HEIGHT, WIDTH))
    network = network_of(graph)
    products = {n.name for n in graph.graph.node if n.op_type == "MatMul" and n.input[1].startswith("parts")}
    squares = {n.name for n in graph.graph.node if n.op_type == "Concat" and n.name not in network.nodes}
    pictures = made_pictures(3, HEIGHT, WIDTH).numpy()  # what the bank was made from: distances close to zero
    assert products
    assert squares

    fp32, island, without = (
        np.stack([m.anomaly_map for m in measured(g, pictures)])
        for g in (graph, with_fp16(graph, network.nodes), with_fp16(graph, network.nodes | products | squares))
    )

    kept, lost = np.abs(island - fp32).mean(), np.abs(without - fp32).mean()
    assert lost > 1.5 * kept  # 1.8 here; and devices that sum in FP16 as well lose far more


def test_cprs_divergence_is_an_island_because_fp16_has_no_1e_8():
    """log(0 + 1e-8) is -18.4; in FP16 it is minus infinity, and 0 times that is no number."""
    graph = onnx.load_from_string(export_graph(made_cpr((HEIGHT, WIDTH)), HEIGHT, WIDTH))
    network = network_of(graph)
    logarithms = {n.name for n in graph.graph.node if n.op_type == "Log"}
    summed = {n.input[0] for n in graph.graph.node if n.op_type == "Log"}
    sums = {n.name for n in graph.graph.node if n.output[0] in summed}
    assert logarithms

    without = with_fp16(graph, network.nodes | logarithms | sums)
    onnx.checker.check_model(without)
    model = onnx.ModelProto()
    model.CopyFrom(emulated_graph(without))
    (log,) = (node for node in model.graph.node if node.op_type == "Log")
    model.graph.output.append(onnx.helper.make_tensor_value_info(log.output[0], FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    logs = session.run([log.output[0]], {"image": made_pictures(1, HEIGHT, WIDTH).numpy()})[0]

    assert np.isneginf(logs).any()
    with OnnxruntimeEngine(emulated_graph(with_fp16(graph, network.nodes)).SerializeToString(), threads=1) as engine:
        assert np.isfinite(engine.infer(made_pictures(1, HEIGHT, WIDTH).numpy()).score)


def test_a_cast_is_shared_and_constants_are_converted_once():
    model = small_graph(np.ones((4, 3)))
    fp16 = with_fp16(model, {"Conv", "Relu"})
    casts = [(node.input[0], node.attribute[0].i) for node in fp16.graph.node if node.op_type == "Cast"]
    assert casts == [("image", FLOAT), ("scaled", HALF), ("activated", FLOAT)]
    constants = constants_of(fp16)
    assert constants["weight_fp16"].dtype == np.float16
    assert "weight" not in constants


def test_a_constant_beyond_fp16_is_named():
    with pytest.raises(ValueError, match=r"weight reaches 1e\+05, which FP16 cannot hold"):
        with_fp16(small_graph(np.full((2, 3), 1e5)), {"Conv"})


def test_an_activation_stays_with_its_int8_convolution():
    model = small_graph(np.ones((4, 3)))
    network = network_of(model)
    assert fp16_nodes(model, network.nodes, ()) == {"Conv", "Relu"}
    assert fp16_nodes(model, network.nodes, {"Conv"}) == set()


def test_beside_int8_the_rest_of_the_network_is_fp16(graph):
    network = network_of(graph)
    first, *others = network.convolutions
    ranges = {convolution.data: 6.0 for convolution in network.convolutions.values()}
    mixed = with_fp16(with_qdq(graph, network, ranges, others), fp16_nodes(graph, network.nodes, others))
    onnx.checker.check_model(mixed, full_check=True)
    types = types_of(mixed)
    by_name = {node.name: node for node in mixed.graph.node}
    assert types[by_name[first].output[0]] == HALF
    for node in mixed.graph.node:
        if node.op_type == "QuantizeLinear":
            assert types[node.input[0]] == FLOAT
        if node.name in others:
            assert types[node.output[0]] == FLOAT
