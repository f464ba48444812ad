from __future__ import annotations

import numpy as np
from tests.support.naive_variety import naive_is_enough

from edge_runtime.commands.variety import ALIKE, CENTRES, LEAST, NEWEST, Variety, describe


def noise(seed, scale):
    return np.random.default_rng(seed).normal(0, scale, 3072).astype(np.float32)


def filled(descriptions):
    variety = Variety()
    for one in descriptions:
        variety.add(one)
    return variety


def test_the_noise_of_a_sensor_is_no_difference_and_another_place_of_the_part_is():
    chance = np.random.default_rng(0)
    part = np.zeros((480, 640, 3), np.uint8)
    part[100:300, 100:300] = 150
    variety = filled([describe(part)])
    noisy = np.clip(part + chance.normal(0, 5, part.shape), 0, 255).astype(np.uint8)
    assert variety.is_alike(describe(np.clip(part.astype(int) + 0, 0, 255).astype(np.uint8)))
    assert variety.nearest(describe(noisy)) < 3
    assert not variety.is_alike(describe(np.roll(part, 10, axis=1)))


def test_nothing_is_alike_to_the_first_picture():
    assert not Variety().is_alike(noise(0, 1.0))
    assert ALIKE > 0


def test_too_few_pictures_are_never_enough():
    assert not filled([noise(0, 10)] * (LEAST - 1)).is_enough()


def test_pictures_of_the_same_kind_are_enough_and_a_new_kind_among_the_newest_is_not():
    way = noise(0, 10.0)  # a part that lies anywhere along a line
    pictures = [np.float32(place) * way for place in np.random.default_rng(1).uniform(0, 1, 200)]
    assert filled(pictures).is_enough()
    pictures[-NEWEST // 2] = pictures[-NEWEST // 2] + 50
    assert not filled(pictures).is_enough()


def test_it_is_the_rule_of_a_slow_and_plain_computation():
    chance = np.random.default_rng(1)
    seen = set()
    for _ in range(30):
        count = int(chance.integers(LEAST, LEAST + 60))
        kinds = chance.normal(0, 20, (int(chance.integers(1, 40)), 3072))
        pictures = [
            (kinds[chance.integers(len(kinds))] + chance.normal(0, 3, 3072)).astype(np.float32) for _ in range(count)
        ]
        expected = naive_is_enough(pictures, CENTRES, NEWEST)
        assert filled(pictures).is_enough() is expected
        seen.add(expected)
    assert seen == {True, False}
