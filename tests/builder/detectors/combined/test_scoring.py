from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from edge_build.detectors.combined.scoring import AREAS, MAP_PIXELS, MOST_POWER, STEP, counts_of, fit_area_score

SIDE = 320


def good_maps(count: int = 12) -> Tensor:
    """Of good pictures: a floor, and a soft bump of a different height in each."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    bump = torch.exp(-((x - 160) ** 2 + (y - 100) ** 2) / (2 * 30.0**2))
    random = torch.Generator().manual_seed(0)
    heights = 1 + 0.2 * torch.randn(count, generator=random)
    return 0.5 + heights[:, None, None] * bump


def with_defect(anomaly_map: Tensor, radius: int, height: float) -> Tensor:
    changed = anomaly_map.clone()
    changed[220 - radius : 220 + radius, 40 : 40 + 2 * radius] += height
    return changed


def test_the_areas_are_those_of_the_map_that_they_were_chosen_on_and_grow_with_a_larger_one() -> None:
    assert counts_of(MAP_PIXELS) == tuple(max(1, area // STEP**2) for area in AREAS)
    assert counts_of(4 * MAP_PIXELS) == tuple(area * 4 // STEP**2 for area in AREAS)
    assert counts_of(64 * 64) == (1, 1, 5)


def test_the_score_is_the_largest_of_the_areas_each_by_its_own_scale() -> None:
    maps = good_maps()
    score = fit_area_score(maps)
    found = with_defect(maps[0], 20, 0.9)

    pixels = np.sort(found.numpy()[STEP // 2 :: STEP, STEP // 2 :: STEP].ravel())[::-1]
    means = np.array([pixels[:count].mean() for count in counts_of(MAP_PIXELS)])
    expected = (np.log(means) - score.usual.numpy()) * score.powers.numpy()

    assert float(score(found)) == pytest.approx(np.exp(expected.max()), rel=1e-5)


def test_good_pictures_score_about_one_and_small_and_large_defects_more() -> None:
    maps = good_maps()
    score = fit_area_score(maps[:8])

    good = [float(score(m)) for m in maps[8:]]
    assert max(good) < 1.7
    assert float(score(with_defect(maps[8], 3, 3.0))) > max(good)
    assert float(score(with_defect(maps[8], 40, 1.2))) > max(good)


def test_pictures_that_are_all_alike_leave_the_areas_as_they_are() -> None:
    score = fit_area_score(good_maps(1).repeat(4, 1, 1))

    assert score.powers.tolist() == [1, 1, 1]
    assert float(score(good_maps(1)[0])) == pytest.approx(1, rel=1e-5)


def test_no_area_is_raised_to_an_extreme_power() -> None:
    maps = torch.full((6, SIDE, SIDE), 0.5)
    for number, one in enumerate(maps):
        one[100, 100] += number + 1  # one sampled pixel varies much, an area of 512 hardly

    powers = fit_area_score(maps).powers

    assert powers.min() >= 1 / MOST_POWER
    assert powers.max() <= MOST_POWER


def test_a_map_of_nothing_has_a_finite_score() -> None:
    assert torch.isfinite(fit_area_score(good_maps())(torch.zeros(SIDE, SIDE))).all()
