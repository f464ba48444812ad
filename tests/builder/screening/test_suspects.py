"""Good pictures that do not look like the others."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.tiny_dataset import SIDE, part

from edge_build.progress import SilentProgress
from edge_build.screening.suspects import FAR, GROUPS, LEAST_PICTURES, Suspects, find_suspects, groups_of

COUNT = 40


def pictures(scratched: tuple[int, ...], count: int = COUNT) -> np.ndarray:
    return np.stack([part(number, number in scratched)[0] for number in range(count)])


@pytest.fixture(scope="module")
def found() -> Suspects:
    return find_suspects(pictures((3, 4, 20, 33)), 0, SilentProgress())


def test_scratched_parts_among_good_ones_are_found_and_no_others(found: Suspects) -> None:
    assert sorted(found.rows) == [3, 4, 20, 33]
    assert list(found.scores[list(found.rows)]) == sorted(found.scores, reverse=True)[:4]


def test_a_map_shows_where_a_picture_does_not_look_like_the_others(found: Suspects) -> None:
    for row, strange in zip(found.rows, found.maps, strict=True):
        mask = part(row, True)[1]
        cell = SIDE // strange.shape[0]
        y, x = np.unravel_index(strange.argmax(), strange.shape)
        around = mask[max(y - 1, 0) * cell : (y + 2) * cell, max(x - 1, 0) * cell : (x + 2) * cell]
        assert strange.max() == pytest.approx(found.scores[row], abs=1e-4)
        assert strange.max() > FAR
        assert around.any()


def test_good_pictures_alone_are_not_suspicious() -> None:
    assert find_suspects(pictures(()), 0, SilentProgress()).rows == ()


def test_so_many_unlike_pictures_are_no_exception() -> None:
    assert find_suspects(pictures(tuple(range(0, COUNT, 2))), 0, SilentProgress()).rows == ()


def test_few_pictures_cannot_say_what_is_usual() -> None:
    few = LEAST_PICTURES - 1

    found = find_suspects(pictures((3,), few), 0, SilentProgress())

    assert found.rows == ()
    assert found.scores.tolist() == [0] * few


def test_pictures_that_are_all_alike_are_not_suspicious() -> None:
    assert find_suspects(np.repeat(pictures((), 1), LEAST_PICTURES, 0), 0, SilentProgress()).rows == ()


@pytest.mark.parametrize("count", [LEAST_PICTURES, 100])
def test_every_group_has_pictures_from_everywhere_and_neighbours_stay_together(count: int) -> None:
    groups = groups_of(count)

    assert set(groups.tolist()) == set(range(GROUPS))
    assert set(groups[: count // 2].tolist()) == set(range(GROUPS))
    assert int((groups[1:] != groups[:-1]).sum()) == min(4 * GROUPS, count) - 1
