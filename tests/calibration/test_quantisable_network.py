from __future__ import annotations

import numpy as np
import onnx
import pytest
from tests.support.made_detectors import HEIGHT, WIDTH, made_cpr, made_patchcore
from tests.support.small_graph import small_graph

from edge_build.graphs.export import export_graph
from edge_calibration.quantisable_network import network_of


def test_patchcores_network_ends_where_its_patches_are_compared():
    model = onnx.load_from_string(export_graph(made_patchcore(), HEIGHT, WIDTH))
    network = network_of(model)

    rest = {node.op_type for node in model.graph.node if node.name not in network.nodes}
    assert len(network.convolutions) == sum(node.op_type == "Conv" for node in model.graph.node)
    assert {"MatMul", "Sqrt", "ReduceMin", "ReduceSum", "ReduceMax"} <= rest
    assert {node.op_type for node in model.graph.node if node.name in network.nodes} == {
        "Conv", "Clip", "Add", "AveragePool", "Resize", "Concat",
    }  # fmt: skip


def test_cprs_network_is_backbone_and_local_branch_without_codebook_norms_and_foreground():
    model = onnx.load_from_string(export_graph(made_cpr((64, 64)), 64, 64))
    network = network_of(model)

    others = [node for node in model.graph.node if node.name not in network.nodes]
    branches = [name for name in network.convolutions if "backbone" not in name]
    assert sum(name.endswith("/entry/Conv") for name in branches) == 2
    assert sum(name.endswith("/exit/Conv") for name in branches) == 2
    assert [node.name for node in others if node.op_type == "Conv"] == ["/foreground/Conv"]
    assert {"Log", "TopK", "ReduceL2", "ArgMin", "MatMul"} <= {node.op_type for node in others}


def test_a_convolution_knows_what_it_gets_and_its_weights():
    weight = np.arange(12).reshape(4, 3)
    network = network_of(small_graph(weight))

    (convolution,) = network.convolutions.values()
    assert (convolution.name, convolution.data, convolution.output) == ("Conv", "scaled", "convolved")
    np.testing.assert_array_equal(convolution.weight[:, :, 0, 0], weight)
    assert network.nodes == {"Conv", "Relu"}
    assert network.outputs == {"convolved", "activated"}


def test_a_graph_without_convolutions_has_no_network():
    model = small_graph(np.ones((1, 3)))  # one channel is a decision
    with pytest.raises(ValueError, match="no convolution"):
        network_of(model)
