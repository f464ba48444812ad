from __future__ import annotations

import numpy as np
import onnx
import pytest
from tests.support import wrong_graphs as wrong

from edge_build.graphs.lint import RULES, require_compilable, violations


@pytest.mark.parametrize(
    "model",
    [
        wrong.plain(), wrong.quantised(0), wrong.largest_512(), wrong.largest_512(k=3840), wrong.cubic("linear"),
        wrong.cubic("nearest"),
    ],
    ids=["plain", "quantised", "k=512", "k=3840", "linear", "nearest"],
)  # fmt: skip
def test_a_graph_that_compiles_has_no_violation(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert violations(model) == []


WRONG = [
    (wrong.int32_bias(), "the-bias (DequantizeLinear): dequantises an int32 tensor, as quantised biases are"),
    (wrong.quantised(3), "the-QuantizeLinear (QuantizeLinear): its zero point is 3: TensorRT takes 0 only"),
    (wrong.quantised(0, np.uint8), "the-QuantizeLinear (QuantizeLinear): quantises to uint8"),
    (wrong.largest_512(k=3841), "the-TopK (TopK): K is 3841: TensorRT takes up to 3840"),
    (wrong.computed_k(), "the-TopK (TopK): its K is no constant"),
    (wrong.one_dimension("ArgMax"), "the-ArgMax (ArgMax): its input has one dimension"),
    (wrong.one_dimension("ArgMin"), "the-ArgMin (ArgMin): its input has one dimension"),
    (wrong.one_dimension("Softmax"), "the-Softmax (Softmax): its input has one dimension"),
    (wrong.scattered(), "the-ScatterElements (ScatterElements): reduction 'add' is not taken"),
    (wrong.transposed_bytes(), "the-Transpose (Transpose): takes the uint8 tensor image"),
    (wrong.non_zero(), "the-NonZero (NonZero): the shape of its output depends on the picture"),
    (wrong.einsum(), "the-Einsum (Einsum): not every equation is taken"),
    (wrong.cubic(), "the-Resize (Resize): cubic interpolation: TensorRT 8 has none"),
    (wrong.int64_output(), "places: an int64 output: TensorRT 8 has none"),
    (wrong.integer_kernel(), "the-DynamicQuantizeLinear (DynamicQuantizeLinear): integer kernels are onnxruntime's"),
    (wrong.foreign_operator(), "the-ReduceMax (ReduceMax): domain 'com.microsoft' is no standard operator"),
    (wrong.graph_of(wrong.MAP, wrong.LARGEST, opset=18), "graph: opset 18: TensorRT 8 takes up to 17"),
    (wrong.open_shape(), "image: its shape is not fixed"),
]


@pytest.mark.parametrize(("model", "message"), WRONG, ids=[message[:24] for _, message in WRONG])
def test_a_graph_that_would_not_compile_is_refused_by_its_nodes_name(model: onnx.ModelProto, message: str) -> None:
    found = [str(violation) for violation in violations(model)]
    assert found, "nothing was found"
    assert found[0].startswith(message)


def test_every_rule_has_a_graph_that_breaks_it() -> None:
    """A rule that never speaks would be a rule that cannot fail."""
    first_words = {message.split(": ")[1][:12] for _, message in WRONG}
    assert len(first_words) >= len(RULES)


def test_all_violations_are_reported_at_once() -> None:
    model = wrong.int64_output()
    model.opset_import[0].version = 18
    with pytest.raises(ValueError, match=r"^TensorRT would not take the graph: graph: opset 18") as refused:
        require_compilable(model.SerializeToString())
    assert "; places: an int64 output" in str(refused.value)
