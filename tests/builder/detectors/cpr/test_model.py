"""The detector against its steps, written down naively."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from scipy.ndimage import gaussian_filter
from tests.support.made_detectors import made_cpr
from tests.support.made_network import made_pictures
from tests.support.naive_cpr import naive_distances
from tests.support.naive_patchcore import measured
from torch.nn import functional as F

from edge_build.graphs.export import export_graph
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine

# What specs of TensorRT parsers take without loss, as far as a detector like this needs it.
GOOD_OPERATORS = {
    "Add", "ArgMin", "AveragePool", "Cast", "Clip", "Concat", "Conv", "Div", "Equal", "Expand", "Flatten", "Gather",
    "Gemm", "Log", "MatMul", "Max", "Min", "Mul", "Pad", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceSum", "Relu", "Reshape", "Resize", "Slice", "Sqrt", "Squeeze", "Sub", "TopK", "Transpose", "Unsqueeze",
}  # fmt: skip


@pytest.mark.parametrize("size", [(64, 64), (96, 160)], ids=str)
@pytest.mark.parametrize("foreground", [True, False])
def test_score_and_map_follow_from_the_steps(size: tuple[int, int], foreground: bool) -> None:
    detector, image = made_cpr(size, foreground=foreground), made_pictures(1, *size, seed=9)

    score, anomaly_map = measured(detector, image)

    with torch.inference_mode():
        maps = detector.backbone(image)
        nearest = detector.retrieval(maps[0])
        taps = []
        for match, m, reach in zip(detector.matches, maps, (1, 0, 0), strict=True):
            theirs = match.bank[nearest].double()
            directions, scales = theirs[:, :-1] / theirs[:, -1:], theirs[:, -1]
            own = match.describe(m)[0].double().numpy()
            found = torch.from_numpy(naive_distances(own, directions.numpy(), scales.numpy(), reach))
            taps.append(F.interpolate(found[None, None], maps[0].shape[2:], mode="bilinear")[0, 0])
        cells = (taps[0] + taps[1]) * taps[2].sqrt()
        if detector.foreground is not None:
            references = torch.stack([detector.foreground_bank[i] for i in nearest.tolist()]).float()
            cells = cells * torch.cat([detector.foreground(maps[0]), references]).amax(0)
    pixels = F.interpolate(cells[None, None], size, mode="bilinear")[0, 0].numpy()
    expected = gaussian_filter(pixels, 4.0, mode="mirror", truncate=4.0)
    np.testing.assert_allclose(anomaly_map, expected, rtol=0, atol=1e-5)
    assert score == pytest.approx(np.sort(expected.ravel())[-64:].mean(), abs=1e-5)


@pytest.mark.parametrize("foreground", [True, False])
def test_the_graph_measures_what_the_module_does_with_operators_that_compilers_take(foreground: bool) -> None:
    detector, image = made_cpr((64, 96), foreground=foreground), made_pictures(1, 64, 96, seed=9)

    graph = export_graph(detector, 64, 96)

    score, anomaly_map = measured(detector, image)
    with OnnxruntimeEngine(graph, threads=1) as engine:
        found = engine.infer(image.numpy())
    assert found.score == pytest.approx(score, rel=1e-4)
    np.testing.assert_allclose(found.anomaly_map, anomaly_map, rtol=0, atol=1e-4)
    model = onnx.load_from_string(graph)
    assert {node.op_type for node in model.graph.node} <= GOOD_OPERATORS
    halves = [i for i in model.graph.initializer if i.data_type == onnx.TensorProto.FLOAT16]
    assert len(halves) == 3 + foreground  # the banks are stored in half the space


@pytest.mark.parametrize("dimensions", [64, 384])
def test_the_larger_detectors_are_the_same_with_longer_descriptors(dimensions: int) -> None:
    detector, image = made_cpr((64, 64), dimensions=dimensions), made_pictures(1, seed=9)

    score, anomaly_map = measured(detector, image)

    assert detector.dimensions == dimensions
    assert [match.bank.shape[1] - 1 for match in detector.matches][:2] == [dimensions, dimensions]
    with OnnxruntimeEngine(export_graph(detector, 64, 64), threads=1) as engine:
        found = engine.infer(image.numpy())
    assert found.score == pytest.approx(score, rel=1e-4)
    np.testing.assert_allclose(found.anomaly_map, anomaly_map, rtol=0, atol=1e-4)


def test_fewer_references_than_ten_are_all_used() -> None:
    detector = made_cpr((64, 64), count=3)

    assert (detector.retrieval.count, detector.entries, detector.dimensions) == (3, 3, 16)
    assert measured(detector, made_pictures(1, seed=9))[0] > 0


def test_a_reference_itself_scores_below_another_picture_and_that_below_its_negative() -> None:
    detector, own, other = made_cpr((64, 64)), made_pictures(14)[:1], made_pictures(1, seed=9)

    assert measured(detector, own)[0] < 0.01  # descriptors in float16
    assert measured(detector, own)[0] < measured(detector, other)[0]
