from __future__ import annotations

import numpy as np
import onnx
import pytest
from tests.support.made_detectors import HEIGHT, WIDTH, made_patchcore
from tests.support.made_network import made_pictures
from tests.support.small_graph import SIDE, small_graph

from edge_build.graphs.export import export_graph
from edge_build.progress import SilentProgress
from edge_calibration.activation_ranges import measure_ranges
from edge_calibration.int8_search import (
    DeviationMeter,
    Int8Search,
    _fewest_in_fp16,
    _most_in_fp16,
    fits,
    fp16_graph,
    int8_graph,
    plan_text,
    replan,
)
from edge_calibration.picture_selection import session_with_outputs
from edge_calibration.qdq import bias_corrections, with_qdq
from edge_calibration.quantisable_network import network_of

PICTURES = [picture[None] for picture in made_pictures(4, HEIGHT, WIDTH, seed=3).numpy()]


@pytest.fixture(scope="module")
def model():
    return onnx.load_from_string(export_graph(made_patchcore(), HEIGHT, WIDTH))


def search_of(model, budget=0.004):
    return Int8Search(model, PICTURES[:3], PICTURES[2:4], budget, 0, SilentProgress())


@pytest.fixture(scope="module")
def planned(model):
    search = search_of(model)
    return search.plan, search.statistics


def test_the_plan_takes_the_method_with_the_least_error_and_keeps_most_of_the_work_in_int8(planned):
    plan, statistics = planned
    assert plan.errors_by_method[plan.method] == min(plan.errors_by_method.values())
    assert plan.errors_by_method.keys() == {"minmax", "percentile", "entropy"}
    assert plan.error < plan.errors_by_method[plan.method]
    assert plan.error <= plan.budget or plan.share < 0.75
    assert 0.6 <= plan.share < 1
    assert plan.ranges.keys() == statistics.keys()


def test_what_costs_most_for_its_work_stays_in_fp16_and_is_named(planned):
    plan, _ = planned
    costs = {layer.name: layer.error**2 / layer.multiply_adds for layer in plan.layers}
    assert plan.in_fp16
    assert min(costs[layer.name] for layer in plan.in_fp16) >= max(costs[name] for name in plan.quantised)
    assert plan.in_fp16[0].name.strip("/") in plan_text(plan)
    assert f"{plan.share:.0%} of their multiply-adds" in plan_text(plan)


def test_a_refused_plan_is_followed_by_ones_with_less_int8_until_nothing_is_left(model):
    search, shares = search_of(model), []
    while search.give_up_some():
        shares.append(search.plan.share)
    assert len(shares) > 3
    assert shares == sorted(shares, reverse=True)
    assert search.plan.quantised  # the last one that there was
    assert search.plan.error < search.plan.errors_by_method[search.plan.method]


def test_corrected_biases_keep_the_mean_of_every_channel():
    """A convolution whose weights are rounded gives, on average, what it gave before."""
    weight = np.random.default_rng(0).normal(0, 1, (6, 3)) * np.array([1, 0.2, 0.03])
    model = small_graph(weight, bias=np.arange(6))
    network = network_of(model)
    pictures = list(np.random.default_rng(1).integers(150, 255, (8, 1, SIDE, SIDE, 3)).astype(np.uint8))
    statistics = measure_ranges(model, network, pictures, 0)
    corrections = bias_corrections(network, {tensor: one.means for tensor, one in statistics.items()})

    def means(graph):
        session = session_with_outputs(graph, ["convolved"])
        return np.mean([session.run(["convolved"], {"image": p})[0].mean((0, 2, 3)) for p in pictures], 0)

    ranges = {tensor: one.largest for tensor, one in statistics.items()}
    exact = means(model)
    rounded = means(with_qdq(model, network, ranges, ("Conv",)))
    corrected = means(with_qdq(model, network, ranges, ("Conv",), corrections))
    assert np.abs(corrected - exact).max() < 0.3 * np.abs(rounded - exact).max()


def test_the_graph_is_what_was_planned(model, planned):
    plan, _ = planned
    graph = int8_graph(model, plan)
    quantised = {n.name for n in graph.graph.node if n.op_type == "Conv" and n.input[0].endswith("_dequantized")}
    assert quantised == plan.quantised
    # onnxruntime's threads may sum in another order
    assert DeviationMeter(model, PICTURES[2:4])(graph).error == pytest.approx(plan.error, rel=1e-3)


def test_fp16_costs_less_than_int8(model, planned):
    measure = DeviationMeter(model, PICTURES[2:4])
    assert measure(model).error == 0
    assert 0 < measure(fp16_graph(model)).error < planned[0].error


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


def test_layers_stay_in_fp16_until_the_budget_holds_and_no_longer():
    alone = [0.05, 0.02, 0.002, 0.001]

    def together(kept):
        return float(np.sqrt(sum(error**2 for error in alone[kept:])))

    assert _fewest_in_fp16(alone, together, together(0), 0.01, 4) == (2, together(2))
    assert _fewest_in_fp16(alone, together, together(0), 0.1, 4) == (0, together(0))
    assert _fewest_in_fp16(alone, together, together(0), 1e-6, 4)[0] == 4
    assert _fewest_in_fp16(alone, together, together(0), 1e-6, 3) == (3, together(3))  # no more than may leave


def test_layers_whose_errors_add_up_to_more_than_in_squares_stay_too():
    kept, error = _fewest_in_fp16([0.01] * 8, lambda kept: 0.01 * (8 - kept), 0.08, 0.03, 8)
    assert (kept, error) == (5, 0.03)


def test_three_fifths_of_the_work_stay_int8_whatever_the_budget():
    assert _most_in_fp16([10, 10, 10, 10, 10, 50]) == 4
    assert _most_in_fp16([50, 50]) == 0
