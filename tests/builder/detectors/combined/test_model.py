from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from tests.support.made_detectors import HEIGHT, WIDTH, made_combined
from tests.support.made_network import made_pictures
from tests.support.naive_patchcore import measured

from edge_build.graphs.export import export_graph
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine

IMAGE = made_pictures(1, HEIGHT, WIDTH, seed=9)


def test_the_map_is_the_weighed_sum_of_both_maps() -> None:
    detector = made_combined(weights=(0.7, 0.1))

    score, anomaly_map = measured(detector, IMAGE)

    _, of_cascade = measured(detector.cascade, IMAGE)
    _, of_memory = measured(detector.memory, IMAGE)
    np.testing.assert_allclose(anomaly_map, 0.7 * of_cascade + 0.1 * of_memory, rtol=1e-5, atol=1e-6)
    assert score == pytest.approx(float(detector.score(torch.from_numpy(anomaly_map))), rel=1e-5)


def test_the_memory_has_a_quarter_of_the_cells_of_patchcore() -> None:
    detector = made_combined()

    assert detector.memory.grid == (HEIGHT // 16, WIDTH // 16)
    assert detector.grid == (HEIGHT // 4, WIDTH // 4)


def test_the_graph_measures_what_the_module_does_on_one_pass_of_the_backbone() -> None:
    detector = made_combined()

    graph = export_graph(detector, HEIGHT, WIDTH)

    score, anomaly_map = measured(detector, IMAGE)
    with OnnxruntimeEngine(graph, threads=1) as engine:
        found = engine.infer(IMAGE.numpy())
    assert found.score == pytest.approx(score, rel=1e-4)
    np.testing.assert_allclose(found.anomaly_map, anomaly_map, rtol=0, atol=1e-4 * anomaly_map.max())
    stems = [n for n in onnx.load_from_string(graph).graph.node if n.op_type == "Conv" and "stem" in n.name]
    assert len(stems) == 1


def test_nothing_is_judged_where_it_is_ignored_by_either() -> None:
    detector = made_combined()
    ignored = np.zeros((HEIGHT, WIDTH), np.bool_)
    ignored[:, : WIDTH // 2] = True

    detector.ignore(ignored)

    _, anomaly_map = measured(detector, IMAGE)
    assert (anomaly_map[:, : WIDTH // 2] == 0).all()
    assert (anomaly_map[:, WIDTH // 2 + 16 :] > 0).any()
