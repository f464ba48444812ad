"""The largest inputs that a recipe takes: exported, linted, and the same in the engine as in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.support.made_detectors import made_cpr, made_patchcore
from tests.support.made_network import made_pictures

from edge_build.graphs.emulated_engine import emulated_engine
from edge_build.graphs.export import export_graph
from edge_build.graphs.lint import require_compilable
from edge_build.recipe.input_size import SIDE_MAX


@pytest.mark.parametrize("size", [(SIDE_MAX, SIDE_MAX), (64, SIDE_MAX)], ids=str)
def test_patchcore_at_the_largest_size_is_the_same_in_engine_and_torch(size: tuple[int, int]) -> None:
    detector = made_patchcore(size=size, every=60)
    same_in_engine(detector, size)


def test_cpr_on_the_longest_side_is_the_same_in_engine_and_torch() -> None:
    size = (64, SIDE_MAX)
    same_in_engine(made_cpr(size, count=3), size)


def same_in_engine(detector: torch.nn.Module, size: tuple[int, int]) -> None:
    graph = export_graph(detector, *size)
    require_compilable(graph)
    picture = made_pictures(1, *size)
    with torch.inference_mode():
        score, anomaly_map = detector(picture)
    with emulated_engine(graph) as engine:
        found = engine.infer(picture.numpy())
    assert found.anomaly_map.shape == size
    # FP32 sums of another order: as far apart as at usual sizes
    assert found.score == pytest.approx(float(score), rel=1e-3)
    np.testing.assert_allclose(found.anomaly_map, anomaly_map[0].numpy(), rtol=1e-3, atol=1e-3)
