from __future__ import annotations

import numpy as np
from tests.support.small_graph import SIDE, small_graph

from edge_calibration.lighting import varied
from edge_calibration.picture_selection import descriptors, spread
from edge_calibration.quantisable_network import network_of


def test_descriptors_tell_a_bright_picture_from_dark_ones():
    model = small_graph(np.eye(3))
    pictures = np.full((4, SIDE, SIDE, 3), 140, np.uint8)
    pictures[2] = 250

    found = descriptors(model, network_of(model), pictures)

    assert len(found) == 4
    assert np.square(found - found[0]).sum(1).argmax() == 2
    np.testing.assert_array_equal(found[0], found[1])


def test_the_spread_takes_every_kind_before_it_takes_a_kind_twice():
    random = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], float)
    points = np.concatenate([centre + random.normal(0, 0.1, (20, 2)) for centre in centres])
    assert sorted(row // 20 for row in spread(points, 4)) == [0, 1, 2, 3]


def test_a_copy_is_never_chosen():
    assert len(spread(np.array([[0.0], [0.0], [1.0], [1.0]]), 4)) == 2
    assert spread(np.zeros((3, 2)), 3) == [0]


def test_every_picture_is_seen_in_another_light_too():
    pictures = np.full((4, 8, 16, 3), 100, np.uint8)
    seen = list(varied(pictures, exposure=0.2, lighting=0.4))

    assert [p.shape for p in seen] == [(1, 8, 16, 3)] * 8
    assert all((p == 100).all() for p in seen[::2])
    darker, lighter, across, down = (p[0, :, :, 0] for p in seen[1::2])
    assert (darker == 80).all()
    assert (lighter == 120).all()
    assert (across[0, 0], across[-1, -1], down[0, -1], down[-1, 0]) == (120, 80, 120, 80)


def test_light_saturates_as_a_sensor_does_and_zero_leaves_it_out():
    bright = np.full((2, 8, 8, 3), 250, np.uint8)
    assert max(int(p.max()) for p in varied(bright, 0.5, 0.5)) == 255
    assert len(list(varied(bright, 0, 0))) == 2
    assert len(list(varied(bright, 0, 0.2))) == 4
