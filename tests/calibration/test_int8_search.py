from __future__ import annotations

import numpy as np
import onnx
import pytest
from tests.support.made_detectors import HEIGHT, WIDTH, made_patchcore
from tests.support.made_network import made_pictures

from edge_build.graphs.export import export_graph
from edge_build.progress import SilentProgress
from edge_calibration.int8_search import (
    MapError,
    _keep_costliest,
    fits,
    fp16_graph,
    int8_graph,
    plan_int8,
    plan_text,
    replan,
)
from edge_calibration.quantisable_network import network_of

PICTURES = [picture[None] for picture in made_pictures(4, HEIGHT, WIDTH, seed=3).numpy()]


@pytest.fixture(scope="module")
def model():
    return onnx.load_from_string(export_graph(made_patchcore(), HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def planned(model):
    return plan_int8(model, PICTURES[:3], PICTURES[2:3], 0.008, 0, SilentProgress())


def test_the_plan_takes_the_method_with_the_least_error_and_holds_its_budget(model, planned):
    plan, statistics = planned
    assert plan.errors_by_method[plan.method] == min(plan.errors_by_method.values())
    assert plan.errors_by_method.keys() == {"minmax", "percentile", "entropy"}
    assert 0 < plan.error <= plan.budget
    assert plan.quantised
    assert plan.ranges.keys() == statistics.keys()


def test_the_costliest_layers_stay_in_fp16_and_are_named(planned):
    plan, _ = planned
    cheapest_kept = min((layer.error for layer in plan.in_fp16), default=np.inf)
    assert plan.in_fp16
    assert max(layer.error for layer in plan.layers if layer.int8) <= cheapest_kept
    assert plan.in_fp16[0].name.strip("/") in plan_text(plan)


def test_the_graph_is_what_was_planned(model, planned):
    plan, _ = planned
    graph = int8_graph(model, plan)
    quantised = {n.name for n in graph.graph.node if n.op_type == "Conv" and n.input[0].endswith("_dequantized")}
    assert quantised == plan.quantised
    # onnxruntime's threads may sum in another order
    assert MapError(model, PICTURES[2:3])(graph) == pytest.approx(plan.error, rel=1e-3)


def test_fp16_costs_less_than_int8(model, planned):
    error = MapError(model, PICTURES[2:3])
    assert error(model) == 0
    assert 0 < error(fp16_graph(model)) < planned[0].error


def test_a_graph_with_another_network_gets_ranges_of_its_own(model, planned):
    plan, _ = planned
    assert fits(plan, model)
    other = onnx.ModelProto()
    other.CopyFrom(model)
    first = next(iter(network_of(model).convolutions.values()))
    weight = next(i for i in other.graph.initializer if i.name == first.weight_name)
    weight.CopyFrom(onnx.numpy_helper.from_array(2 * first.weight, first.weight_name))

    again = replan(other, plan, PICTURES[:3], 0)

    assert not fits(plan, other)
    assert fits(again, other)
    assert again.quantised == plan.quantised
    assert again.ranges != plan.ranges


def test_layers_are_kept_until_the_budget_holds_and_no_longer():
    alone = {"a": 0.05, "b": 0.001, "c": 0.02, "d": 0.002}

    def together(chosen):
        return float(np.sqrt(sum(alone[name] ** 2 for name in chosen)))

    kept, error = _keep_costliest(alone, together, together(alone), 0.01)
    assert kept == {"a", "c"}
    assert error == together(["b", "d"])
    assert _keep_costliest(alone, together, together(alone), 0.1) == (set(), together(alone))
    assert _keep_costliest(alone, together, together(alone), 1e-6)[0] == set(alone)


def test_layers_whose_errors_add_up_to_more_than_in_squares_are_kept_too():
    alone = dict.fromkeys("abcdefgh", 0.01)
    kept, error = _keep_costliest(alone, lambda chosen: 0.01 * len(chosen), 0.08, 0.03)
    assert len(kept) == 5
    assert error <= 0.03
