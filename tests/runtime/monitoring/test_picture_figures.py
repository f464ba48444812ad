from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from tests.support.sample_verdict import sample_verdict, seen_verdict

from edge_runtime.monitoring.picture_figures import PictureFigures
from edge_runtime.records import Outcome


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def figures(registry):
    return PictureFigures(registry, "press", "1")


def value(registry, name, **labels):
    return registry.get_sample_value(name, {"line": "press", "cell": "1", **labels})


def test_a_score_falls_above_or_below_the_bucket_that_ends_at_the_threshold(registry, figures):
    decision = sample_verdict(outcome=Outcome.OK).decision
    for score in (0.31, 0.49, 0.5):
        figures.observe(replace(decision, score=score))
    for score in (0.5001, 0.9):
        figures.observe(replace(decision, outcome=Outcome.NOK, score=score))
    assert value(registry, "edge_score_bucket", le="0.5") == 3
    assert value(registry, "edge_score_count") == 5
    assert value(registry, "edge_score_sum") == pytest.approx(2.7001)


def test_an_error_has_no_score_but_its_frame_may_have_been_measured(registry, figures):
    figures.observe(seen_verdict(Outcome.ERROR).decision)
    assert value(registry, "edge_score_count") is None
    assert value(registry, "edge_frame_brightness_sum") == 150.0
    assert value(registry, "edge_frame_saturated_ratio_sum") == 0.02
    assert value(registry, "edge_frame_sharpness_bucket", le="0.2") == 0
    assert value(registry, "edge_frame_sharpness_bucket", le="0.25") == 1


def test_where_the_last_part_was_found_and_how_much_it_looked_like_good_ones(registry, figures):
    figures.observe(seen_verdict().decision)
    where = [value(registry, f"edge_part_{name}") for name in ("x_pixels", "y_pixels", "angle_degrees")]
    assert where == [320.5, 240.25, -3.5]
    assert value(registry, "edge_part_quality_bucket", le="0.9") == 0
    assert value(registry, "edge_part_quality_bucket", le="0.95") == 1


def test_what_was_not_measured_is_not_there(registry, figures):
    decision = seen_verdict().decision
    measurement = replace(decision.measurement, sharpness=None)
    figures.observe(replace(decision, measurement=measurement, place=None))
    figures.observe(replace(decision, measurement=None, place=None))
    assert value(registry, "edge_frame_brightness_count") == 1
    assert value(registry, "edge_frame_sharpness_count") is None
    assert value(registry, "edge_part_x_pixels") is None
