from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tests.support.made_detectors import HEIGHT, WIDTH, made_patchcore
from tests.support.made_network import made_pictures
from torch import Tensor, nn
from torch.nn import functional as F

from edge_build.detectors.patchcore.model import PatchCore
from edge_build.graphs.export import export_graph
from edge_build.graphs.lint import OPSET


@pytest.fixture(scope="module")
def detector() -> PatchCore:
    return made_patchcore()


@pytest.fixture(scope="module")
def graph(detector: PatchCore) -> bytes:
    return export_graph(detector, HEIGHT, WIDTH)


def described(values: object) -> list[tuple[str, int, list[int]]]:
    return [(v.name, v.type.tensor_type.elem_type, [d.dim_value for d in v.type.tensor_type.shape.dim]) for v in values]


def run(graph: bytes, image: Tensor, basic: bool = False) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if basic:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return session.run(["score", "anomaly_map"], {"image": image.numpy()})


class Measures(nn.Module):
    """A detector of one convolution, whose padding is given; the map is what the convolution gives."""

    def __init__(self, pad: tuple[int, ...], mode: str = "constant", value: float = 0.0, twice: bool = False) -> None:
        super().__init__()
        self.pad, self.mode, self.value, self.twice = pad, mode, value, twice
        self.weight = nn.Parameter(torch.randn(1, 3, 3, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = F.pad(image.float().permute(0, 3, 1, 2), self.pad, self.mode, self.value)
        y = F.conv2d(x, self.weight)[:, 0]
        if self.twice:
            y = y + x[:, 0, 1:-1, 1:-1]  # the padded picture has a second reader
        return y.amax((1, 2)), y


def kinds(graph: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


def test_inputs_outputs_opset_and_domain_are_those_of_the_contract(graph: bytes) -> None:
    model = onnx.load_from_string(graph)

    assert described(model.graph.input) == [("image", onnx.TensorProto.UINT8, [1, HEIGHT, WIDTH, 3])]
    assert described(model.graph.output) == [
        ("score", onnx.TensorProto.FLOAT, [1]),
        ("anomaly_map", onnx.TensorProto.FLOAT, [1, HEIGHT, WIDTH]),
    ]
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert OPSET == 17
    assert {node.domain for node in model.graph.node} == {""}
    assert model.producer_name == "edge-build"
    onnx.checker.check_model(model, full_check=True)


def test_no_padding_is_left_before_a_convolution_and_no_constant_without_a_reader(graph: bytes) -> None:
    model = onnx.load_from_string(graph)
    read = {name for node in model.graph.node for name in node.input}

    assert "Pad" not in kinds(graph)
    assert [i.name for i in model.graph.initializer if i.name not in read] == []


def test_the_graph_names_no_path_of_the_machine_that_made_it(graph: bytes) -> None:
    assert b".py" not in graph
    assert b"edge_build" not in graph


@pytest.mark.parametrize(("dimensions", "neighbors"), [(None, 9), (20, 9), (None, 1)])
def test_onnxruntime_measures_what_torch_does(dimensions: int | None, neighbors: int) -> None:
    detector = made_patchcore(dimensions, neighbors)
    graph = export_graph(detector, HEIGHT, WIDTH)

    for image in (
        *made_pictures(2, HEIGHT, WIDTH, seed=9).split(1),
        torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8),
    ):
        with torch.inference_mode():
            score, anomaly_map = detector(image)
        for basic in (False, True):
            found_score, found_map = run(graph, image, basic)
            # float32 in another order: 1e-5 of the score in practice
            np.testing.assert_allclose(found_score, score, rtol=1e-4)
            np.testing.assert_allclose(found_map, anomaly_map, rtol=1e-3, atol=1e-3)


def test_two_exports_have_the_same_bytes(detector: PatchCore, graph: bytes) -> None:
    assert export_graph(detector, HEIGHT, WIDTH) == graph


def test_an_export_leaves_the_detector_as_it_was(detector: PatchCore, graph: bytes) -> None:
    assert not detector.training
    with torch.inference_mode():
        detector(made_pictures(1, HEIGHT, WIDTH))  # still runs


def test_uneven_zero_padding_is_merged_into_its_convolution() -> None:
    detector, image = Measures((0, 2, 0, 2)), made_pictures(1, 32, 32)

    graph = export_graph(detector, 32, 32)

    assert "Pad" not in kinds(graph)
    np.testing.assert_allclose(run(graph, image)[1], detector(image)[1].detach(), rtol=1e-5, atol=1e-2)  # of some 1000


@pytest.mark.parametrize(
    "detector",
    [Measures((1, 1, 1, 1), "reflect"), Measures((1, 1, 1, 1), value=7.0), Measures((1, 1, 1, 1), twice=True)],
    ids=["mirrored", "not zero", "with another reader"],
)
def test_other_padding_stays_as_it_is(detector: Measures) -> None:
    image = made_pictures(1, 32, 32)

    graph = export_graph(detector, 32, 32)

    assert "Pad" in kinds(graph)
    np.testing.assert_allclose(run(graph, image)[1], detector(image)[1].detach(), rtol=1e-5, atol=1e-2)


class Wrong(nn.Module):
    """A detector that breaks the contract in one way."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = image.float().mean(3)
        score = anomaly_map.amax((1, 2))
        if self.way == "score":
            return score[:, None], anomaly_map
        if self.way == "map":
            return score, anomaly_map[:, ::2]
        return score, anomaly_map.half()


@pytest.mark.parametrize("way", ["score", "map", "half"])
def test_outputs_that_break_the_contract_are_a_bug_in_the_detector(way: str) -> None:
    with pytest.raises(ValueError, match=r"the graph's outputs are \{'score': \(1, "):
        export_graph(Wrong(way), 32, 32)


def test_a_picture_that_is_not_cast_first_is_a_bug_in_the_detector() -> None:
    """TensorRT's parser takes an uint8 input into a Cast and into nothing else."""

    class Transposing(nn.Module):
        def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
            anomaly_map = image.permute(0, 3, 1, 2).float().mean(1)
            return anomaly_map.amax((1, 2)), anomaly_map

    with pytest.raises(ValueError, match=r"Transpose\): takes the uint8 tensor image: TensorRT takes no uint8"):
        export_graph(Transposing(), 32, 32)


@pytest.mark.parametrize("module", ["edge_build.graphs.export", "edge_calibration.picture_selection"])
def test_onnxruntime_reports_its_use_to_nobody_on_the_host_either(module, tmp_path):
    quiet = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", f"import {module}"], env=quiet, check=True, timeout=300)
    assert list(tmp_path.rglob("*onnxruntime*")) == []
