"""Both traps of judging on a CPU: FP16 that is not rounded, and INT8 kernels that saturate."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from tests.support.small_graph import small_graph, small_picture

from edge_calibration.fp16 import with_fp16
from edge_calibration.fp16_emulation import emulated_graph
from edge_calibration.qdq import with_qdq
from edge_calibration.quantisable_network import network_of
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine


def map_of(model):
    with OnnxruntimeEngine(model.SerializeToString(), threads=1) as engine:
        return engine.infer(small_picture()).anomaly_map


def test_the_exact_graph_rounds_every_fp16_tensor():
    """Against NumPy's float16. Without the rewriting onnxruntime rounds less; that is the trap."""
    weight = np.random.default_rng(0).normal(size=(4, 3)) / 3
    model = small_graph(weight, pixels=1 / 128)
    fp16 = with_fp16(model, {"Conv", "Relu"})
    given = ((small_picture()[0].astype(np.float32) - 128) / 128).astype(np.float16).astype(np.float32)
    sums = given @ weight.astype(np.float16).astype(np.float32).T
    expected = np.maximum(sums.astype(np.float16).astype(np.float32), 0).mean(2)

    found, unrounded = map_of(emulated_graph(fp16)), map_of(fp16)

    np.testing.assert_allclose(found, expected, atol=1e-6)  # float32's order of summing
    assert np.abs(unrounded - expected).max() > 1e-5


def test_a_graph_without_fp16_is_left_alone():
    model = small_graph(np.ones((2, 3)))
    assert emulated_graph(model) is model


@pytest.fixture
def saturating():
    """Sums of products that a 16-bit accumulator of pairs cannot hold: 2 * 255 * 127 is 64770."""
    model = small_graph(np.full((4, 3), 1.0))
    return with_qdq(model, network_of(model), {"scaled": 128.0}, {"Conv"})


def test_int8_is_judged_without_saturation(saturating):
    picture = np.full((1, 8, 8, 3), 255, np.uint8)
    with OnnxruntimeEngine(saturating.SerializeToString(), threads=1) as engine:
        assert engine.infer(picture).score == pytest.approx(3 * 127 * 128 * 126 / 127 / 128, rel=0.01)


def test_no_engine_of_ours_runs_the_fused_int8_kernels_that_saturate_without_vnni(saturating, tmp_path):
    """This machine may have VNNI, so that wrong numbers would not show: the kernels themselves are looked for."""
    model = saturating
    by_name = {node.name: node for node in model.graph.node}
    by_name["Relu"].input[0] = "dequantized"  # a pair behind the convolution as well, as the next one would have
    for kind, given, made in (
        ("QuantizeLinear", "convolved", "quantized"),
        ("DequantizeLinear", "quantized", "dequantized"),
    ):
        constants = ["scaled_scale", "scaled_zero"]
        model.graph.node.insert(
            len(model.graph.node) - 4, onnx.helper.make_node(kind, [given, *constants], [made], kind)
        )
    onnx.checker.check_model(model)

    def operators(entries):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        for name, value in entries.items():
            options.add_session_config_entry(name, value)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}

    with OnnxruntimeEngine(model.SerializeToString(), threads=1) as engine:
        options = engine._session.get_session_options()
        entry = options.get_session_config_entry("session.disable_quant_qdq")

    assert "QLinearConv" in operators({})  # what everybody gets who does not ask
    assert not {"QLinearConv", "ConvInteger"} & operators({"session.disable_quant_qdq": entry})
