from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from tests.support.tiny_bundle import SIZE, picture, tiny_graph

from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine, require_provider
from edge_runtime.errors import EngineError


def test_a_graph_from_a_file_or_from_bytes_measures_the_same(tmp_path):
    (tmp_path / "model.onnx").write_bytes(tiny_graph())
    image = picture(True, 1)
    expected = image.astype(np.float32).mean(axis=2)
    for graph in (tmp_path / "model.onnx", tiny_graph()):
        with OnnxruntimeEngine(graph, threads=1) as engine:
            found = engine.infer(image[None])
        assert (found.anomaly_map.shape, found.anomaly_map.dtype) == ((SIZE, SIZE), np.float32)
        np.testing.assert_allclose(found.anomaly_map, expected, rtol=1e-6)  # the mean of three in another order
        assert found.score == pytest.approx(float(expected.max()), rel=1e-6)


def test_what_one_picture_gave_is_not_changed_by_the_next():
    with OnnxruntimeEngine(tiny_graph(), threads=1) as engine:
        first = engine.infer(picture(True, 1)[None])
        kept = first.anomaly_map.copy()
        engine.infer(picture(False, 2)[None])
    np.testing.assert_array_equal(first.anomaly_map, kept)


def test_the_name_says_what_runs_and_where():
    with OnnxruntimeEngine(tiny_graph(), threads=1) as engine:
        assert engine.name.startswith("onnxruntime 1.")
        assert engine.name.endswith(" (CPU)")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(EngineError, match=rf"onnxruntime does not load the graph {tmp_path}/none\.onnx: "):
        OnnxruntimeEngine(tmp_path / "none.onnx")


@pytest.mark.parametrize("graph", [b"", b"no graph", tiny_graph()[:-40]], ids=["empty", "text", "cut"])
def test_what_is_no_graph_does_not_load(graph):
    with pytest.raises(EngineError, match=rf"onnxruntime does not load the graph {len(graph)} bytes: "):
        OnnxruntimeEngine(graph)


@pytest.mark.parametrize(
    ("name", "other"), [(b"image", b"input"), (b"score", b"skore")], ids=["the input", "an output"]
)
def test_a_graph_with_other_names_does_not_follow_the_contract(name, other):
    with pytest.raises(
        EngineError, match=r"the graph does not follow the contract .* it has inputs \{.*\} and outputs"
    ):
        OnnxruntimeEngine(tiny_graph().replace(name, other), threads=1)


@pytest.mark.parametrize(
    "image",
    [np.zeros((1, SIZE, SIZE + 1, 3), np.uint8), np.zeros((1, SIZE, SIZE, 3), np.float32), np.zeros(3, np.uint8)],
    ids=["another size", "floats", "no picture"],
)
def test_a_picture_that_the_graph_does_not_take_is_an_engine_error(image):
    with (
        OnnxruntimeEngine(tiny_graph(), threads=1) as engine,
        pytest.raises(EngineError, match=r"onnxruntime failed on a picture (uint8|float32) \("),
    ):
        engine.infer(image)


def test_a_provider_that_is_listed_and_did_not_come_up_is_no_provider():
    """What a session reports after a silent fallback, as onnxruntime-gpu does on a machine without GPU."""
    with pytest.raises(EngineError, match=r"does not bring up CUDAExecutionProvider, only CPUExecutionProvider: "):
        require_provider("CUDAExecutionProvider", ["CPUExecutionProvider"])
    require_provider("CUDAExecutionProvider", ["CUDAExecutionProvider", "CPUExecutionProvider"])


def test_onnxruntime_reports_its_use_to_nobody(tmp_path):
    # where it reports, it leaves an identity of the device and a queue in the home folder as soon as it is imported
    quiet = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}  # no CI, which would silence it, too
    command = [sys.executable, "-c", "import edge_runtime.engines.onnxruntime_engine"]
    subprocess.run(command, env=quiet, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []
