from __future__ import annotations

import pytest

from edge_runtime.mqtt.client import pause_s


def test_the_pauses_between_attempts_grow_to_five_seconds_and_no_further():
    assert [pause_s(failures, chance=0.0) for failures in (0, 1, 2, 3, 4, 5, 1_000_000)] == [1, 1, 2, 4, 5, 5, 5]


@pytest.mark.parametrize("failures", [0, 3, 9])
def test_chance_shortens_a_pause_by_up_to_a_half_so_that_stations_do_not_come_back_all_at_once(failures):
    assert pause_s(failures, chance=1.0) == pause_s(failures, chance=0.0) / 2
