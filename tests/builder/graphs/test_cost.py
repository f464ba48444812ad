from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.support import wrong_graphs as made
from tests.support.made_detectors import HEIGHT, WIDTH, made_patchcore

from edge_build.graphs.cost import kernels_of, operators_of
from edge_build.graphs.export import export_graph
from edge_runtime.records import Precision

SIDE = made.SIDE


def test_elementwise_work_and_changes_of_shape_are_no_kernels_of_their_own() -> None:
    kernels = kernels_of(made.largest_512())
    assert [k.operator for k in kernels] == ["ReduceMean", "TopK", "ReduceMean"]  # without Cast, Identity and Reshape


def convolved(groups: int) -> onnx.ModelProto:
    weight = np.zeros((6, 6 // groups, 3, 3), np.float32)
    return made.graph_of(
        made.node("Reshape", "pixels four", "one"),
        made.node("Concat", "one one one one one one", "six", axis=1),
        made.node("Conv", "six weight", "convolved", pads=[1, 1, 1, 1], group=groups),
        made.node("ReduceMean", "convolved", "mean", axes=[1], keepdims=0),
        helper.make_node("Identity", ["mean"], ["anomaly_map"]),
        made.LARGEST,
        constants=(made.FOUR, ("weight", weight)),
    )


@pytest.mark.parametrize(("groups", "dense"), [(1, True), (6, False)])
def test_a_convolution_costs_its_products_and_moves_input_weights_and_output_once(groups: int, dense: bool) -> None:
    (kernel,) = [k for k in kernels_of(convolved(groups)) if k.operator == "Conv"]
    channels = 6 // groups
    assert kernel.multiply_adds == 6 * SIDE * SIDE * channels * 9
    assert kernel.moved == 4 * (2 * 6 * SIDE * SIDE + 6 * channels * 9)
    assert (kernel.dense, kernel.precision) == (dense, Precision.FP32)


def test_a_convolution_of_dequantised_tensors_is_int8_and_reads_a_byte_for_each() -> None:
    model = made.int32_bias()  # its bias is wrong; its convolution is counted all the same
    (kernel,) = [k for k in kernels_of(model) if k.operator == "Conv"]
    assert kernel.precision is Precision.INT8
    assert kernel.moved == SIDE * SIDE + 9 + 4 + 4 * SIDE * SIDE


def test_a_matrix_product_in_half_precision_is_counted_as_such() -> None:
    model = made.graph_of(
        helper.make_node("Cast", ["pixels"], ["half"], to=TensorProto.FLOAT16),
        made.node("MatMul", "half square", "product"),
        made.node("Cast", "product", "anomaly_map", to=TensorProto.FLOAT),
        made.LARGEST,
        constants=(("square", np.zeros((SIDE, SIDE), np.float16)),),
    )
    (kernel,) = [k for k in kernels_of(model) if k.operator == "MatMul"]
    assert (kernel.precision, kernel.dense, kernel.multiply_adds) == (Precision.FP16, True, SIDE**3)
    assert kernel.moved == 2 * 3 * SIDE * SIDE


def test_a_gather_reads_what_it_gives_and_not_the_whole_bank() -> None:
    model = made.one_dimension("ArgMax")
    (kernel,) = [k for k in kernels_of(model) if k.operator == "Gather"]
    assert kernel.moved == 2 * 4


def test_a_detectors_products_are_those_of_its_layers() -> None:
    """The bank's product is counted by hand: cells x (dimensions + 2) x entries."""
    detector = made_patchcore(20)
    model = onnx.load_from_string(export_graph(detector, HEIGHT, WIDTH))
    products = {k.multiply_adds for k in kernels_of(model) if k.operator in ("MatMul", "Gemm")}
    cells = detector.grid[0] * detector.grid[1]
    assert {cells * 22 * part.shape[1] for part in detector.parts} <= products
    assert operators_of(model)["Conv"] > 30


def test_an_output_that_is_quantised_next_is_written_as_bytes() -> None:
    kernel, *_ = kernels_of(made.quantised(0))
    assert kernel.operator == "ReduceMean"  # over the channels; its output goes into QuantizeLinear and nowhere else
    assert kernel.moved == 4 * 3 * SIDE * SIDE + SIDE * SIDE
