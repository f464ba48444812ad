from __future__ import annotations

import numpy as np
import pytest
from tests.support.small_graph import small_graph, small_picture

from edge_calibration.activation_ranges import Statistics, entropy_range, measure_ranges, ranges_by
from edge_calibration.quantisable_network import network_of


def statistics(values):
    values = np.sort(np.abs(np.asarray(values, np.float32)))
    return Statistics(float(values[-1]), values, np.zeros(1))


def test_what_goes_into_each_convolution_is_measured_on_all_pictures():
    model = small_graph(np.ones((4, 3)), pixels=0.5)
    pictures = [small_picture(0), small_picture(1) // 2]
    found = measure_ranges(model, network_of(model), pictures, seed=0)

    values = np.concatenate([(p.astype(np.float64) - 128) / 2 for p in pictures])
    assert found.keys() == {"scaled"}
    assert found["scaled"].largest == np.abs(values).max()
    assert len(found["scaled"].magnitudes) == 2 * 8 * 8 * 3
    np.testing.assert_allclose(found["scaled"].means, values.mean((0, 1, 2)), rtol=1e-6)


def test_without_pictures_there_are_no_ranges():
    model = small_graph(np.ones((4, 3)))
    with pytest.raises(ValueError, match="no pictures"):
        measure_ranges(model, network_of(model), [], seed=0)


def test_minmax_keeps_everything_and_the_percentile_cuts_the_tail():
    values = np.concatenate([np.linspace(0, 1, 99_995), np.full(5, 50.0)])
    found = {"t": statistics(values)}
    assert ranges_by("minmax", found) == {"t": 50.0}
    assert ranges_by("percentile", found)["t"] == pytest.approx(1.0, abs=0.01)


def test_entropy_gives_up_a_rare_tail_for_finer_levels():
    random = np.random.default_rng(0)
    values = np.concatenate([random.exponential(1.0, 200_000), [60.0]])
    assert 5 < entropy_range(statistics(values)) < 30


def test_entropy_keeps_all_of_an_even_distribution():
    assert entropy_range(statistics(np.linspace(0, 6, 100_000))) == pytest.approx(6, rel=0.02)


def test_a_spike_of_zeros_as_relu_makes_does_not_shrink_the_range():
    """Nine of ten values are zero; what is left is even and would lose its upper part."""
    values = np.concatenate([np.zeros(90_000), np.linspace(0, 6, 10_000)])
    assert entropy_range(statistics(values)) == pytest.approx(6, rel=0.02)


def test_a_tensor_that_is_always_zero_has_no_range():
    assert entropy_range(statistics(np.zeros(100))) == 0
