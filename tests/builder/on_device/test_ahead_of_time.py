"""NVIDIA's compiler, without a GPU: what it takes, and that it refuses what the lint refuses."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import onnx
import pytest
from tests.support import wrong_graphs as wrong
from tests.support.made_detectors import HEIGHT, WIDTH, made_cpr, made_patchcore

from edge_build.graphs.export import export_graph
from edge_build.on_device.ahead_of_time import build_ahead
from edge_build.on_device.implicit_int8 import may_be_int8
from edge_calibration.quantisable_network import network_of
from edge_runtime.errors import EngineError

needs_compiler = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="needs pip install '.[rtx]'"
)


@needs_compiler
@pytest.mark.parametrize(
    ("dimensions", "neighbors"), [(None, 1), (None, 9), (20, 9)], ids=["plain", "weighted", "reduced"]
)
def test_every_form_of_patchcore_compiles(dimensions: int | None, neighbors: int) -> None:
    compiled = build_ahead(export_graph(made_patchcore(dimensions, neighbors), HEIGHT, WIDTH))
    assert compiled.layers > 100
    assert len(compiled.serialized) > 1_000_000  # the weights of the backbone at least


@needs_compiler
@pytest.mark.parametrize("foreground", [True, False], ids=["part", "texture"])
def test_every_form_of_cpr_faster_compiles(foreground: bool) -> None:
    assert build_ahead(export_graph(made_cpr((HEIGHT, WIDTH), foreground=foreground), HEIGHT, WIDTH)).layers > 500


@needs_compiler
@pytest.mark.parametrize(
    "model", [wrong.plain(), wrong.quantised(0), wrong.largest_512(k=3840)], ids=["plain", "quantised", "k=3840"]
)
def test_what_the_lint_lets_through_at_its_limits_compiles(model: onnx.ModelProto) -> None:
    assert build_ahead(model.SerializeToString()).version.startswith("1.")


@needs_compiler
@pytest.mark.parametrize(
    ("model", "words"),
    [
        (wrong.int32_bias(), "has type Int32 but must have type"),
        (wrong.quantised(3), "Non-zero zero point is not supported"),
        (wrong.largest_512(k=3841), "K exceeds the maximum value allowed (3840)"),
        (wrong.one_dimension("ArgMax"), "the-ArgMax: at least 2 dimensions are required"),
        (wrong.one_dimension("ArgMin"), "the-ArgMin: at least 2 dimensions are required"),
        (wrong.one_dimension("Softmax"), "the-Softmax: at least 2 dimensions are required"),
        (wrong.scattered(), "Unsupported reduction type"),
        (wrong.transposed_bytes(), "the-Transpose: first input has type UInt8"),
        (wrong.non_zero(), "NonZero"),
        (b"no graph", "does not take the graph"),
    ],
    ids=["int32 bias", "zero point", "k", "argmax", "argmin", "softmax", "scatter", "uint8", "nonzero", "no graph"],
)
def test_the_compiler_refuses_it_too_in_its_own_words(model: onnx.ModelProto | bytes, words: str) -> None:
    graph = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(EngineError, match=r"TensorRT-RTX \S+ does not (compile|take) the graph: ") as refused:
        build_ahead(graph)
    assert words in str(refused.value)


def test_without_the_compiler_the_message_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['tensorrt_rtx'] = None\n"
        "from edge_build.on_device.ahead_of_time import build_ahead\n"
        "try: build_ahead(b'')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert found.stdout.startswith("ConfigError NVIDIA's compiler cannot be loaded")
    assert "pip install '.[rtx]'" in found.stdout


@needs_compiler
def test_nvidias_parser_names_layers_as_the_graph_does_so_a_plan_finds_them() -> None:
    """Implicit INT8 is allowed by these names: all convolutions of the network, and nothing beyond the network."""
    import tensorrt_rtx as trt

    for detector in (made_patchcore(), made_cpr((HEIGHT, WIDTH))):
        graph = export_graph(detector, HEIGHT, WIDTH)
        network = network_of(onnx.load_from_string(graph))
        builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
        parsed = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        assert trt.OnnxParser(parsed, trt.Logger(trt.Logger.ERROR)).parse(graph)
        layers = [parsed.get_layer(number) for number in range(parsed.num_layers)]
        free = may_be_int8(trt, layers, frozenset(network.convolutions))
        assert network.convolutions.keys() < free < network.nodes
