"""The search in rounds against the plain rule: after every choice, update every row; then take the farthest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from edge_build.detectors.coreset import FEWEST_CANDIDATES, covering_radius, k_center_greedy
from edge_build.progress import PlainProgress, SilentProgress

SILENT = SilentProgress()


def random_rows(count: int, width: int = 24, seed: int = 0) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def clustered_rows(count: int) -> Tensor:
    """Ten tight clusters far from one another and from the origin."""
    centres = 100 + 20 * random_rows(10, seed=1)
    return centres[torch.arange(count) % 10] + 0.5 * random_rows(count, seed=2)


def repeated_rows(count: int) -> Tensor:
    """Two thirds of the rows are copies."""
    return random_rows(count // 3, seed=3)[torch.arange(count) % (count // 3)]


def plain_rule(features: Tensor, count: int, first: int) -> tuple[list[int], float]:
    """Algorithm 1 of the paper as it stands, in float64, and the covering radius of what it chose."""
    rows = features.double()
    nearest = torch.cdist(rows[first : first + 1], rows)[0]
    chosen = [first]
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (rows - rows[chosen[-1]]).norm(dim=1))
    return chosen, float(nearest.max())


MADE = {"random": random_rows, "clustered": clustered_rows, "repeated": repeated_rows}


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("rows", [300, 3 * FEWEST_CANDIDATES])  # one round; several, with rows that are no candidates
def test_every_choice_is_the_farthest_row_from_those_before(kind: str, rows: int) -> None:
    features = MADE[kind](rows)

    chosen = k_center_greedy(features, 80, 0, SILENT).tolist()

    float64 = features.double()
    nearest = torch.cdist(float64[chosen[:1]], float64)[0]
    for index in chosen[1:]:
        # float32 sees two rows that are equally far within its digits as one, and may take either
        assert float(nearest[index]) >= float(nearest.max()) * (1 - 1e-3)
        nearest = torch.minimum(nearest, (float64 - float64[index]).norm(dim=1))


def test_the_choices_are_those_of_the_plain_rule_row_by_row() -> None:
    features = random_rows(3 * FEWEST_CANDIDATES)  # no two rows are equally far here

    chosen = k_center_greedy(features, 200, 7, SILENT).tolist()

    assert chosen == plain_rule(features, 200, chosen[0])[0]


@pytest.mark.parametrize("kind", MADE)
def test_the_covering_radius_is_that_of_the_plain_rule(kind: str) -> None:
    features = MADE[kind](2500)
    chosen = k_center_greedy(features, 100, 0, SILENT)

    _, plain = plain_rule(features, 100, int(chosen[0]))

    # 1e-3: squared distances in float32; 0.1 % is what the choice of another of two near ties can cost
    assert covering_radius(features, chosen) == pytest.approx(plain, rel=1e-3)
    assert covering_radius(features, chosen) <= plain * 1.001


def test_no_row_is_chosen_twice() -> None:
    chosen = k_center_greedy(random_rows(1500), 1500, 0, SILENT)

    assert sorted(chosen.tolist()) == list(range(1500))


@pytest.mark.parametrize("distinct", [1, 2, 40])
def test_copies_are_not_chosen_even_when_more_rows_are_asked_for(distinct: int) -> None:
    # many dimensions away from the origin: products round differently from sums of squares
    base = 5 + 3 * random_rows(distinct, width=152)
    features = base[torch.arange(3000) % distinct]

    chosen = k_center_greedy(features, 200, 0, SILENT)

    assert len(chosen) == distinct
    assert len(torch.unique(features[chosen], dim=0)) == distinct
    assert covering_radius(features, chosen) == pytest.approx(0, abs=0.05)  # 1e-3 of these rows' lengths, about 45


def test_one_row_may_be_chosen_of_one() -> None:
    assert k_center_greedy(torch.ones(1, 3), 1, 0, SILENT).tolist() == [0]
    assert covering_radius(torch.ones(1, 3), torch.tensor([0])) == 0


@pytest.mark.parametrize("count", [-1, 0, 11])
def test_a_count_outside_the_rows_is_a_wrong_argument(count: int) -> None:
    with pytest.raises(ValueError, match=rf"count must lie in 1\.\.10, got {count}"):
        k_center_greedy(random_rows(10), count, 0, SILENT)


def test_the_same_seed_gives_the_same_choices_and_another_seed_another_start() -> None:
    features = random_rows(2000)

    first, again = (k_center_greedy(features, 50, 3, SILENT).tolist() for _ in range(2))
    starts = {int(k_center_greedy(features, 1, seed, SILENT)) for seed in range(5)}

    assert first == again
    assert len(starts) > 1


def test_neither_features_nor_the_global_random_state_nor_the_thread_count_change() -> None:
    features, threads = random_rows(2000), torch.get_num_threads()
    before, state = features.clone(), torch.random.get_rng_state()
    torch.set_num_threads(2)
    try:
        k_center_greedy(features, 300, 0, SILENT)  # enough for rounds with one thread and with several
        left = torch.get_num_threads()
    finally:
        torch.set_num_threads(threads)

    assert torch.equal(features, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert left == 2


def test_progress_ends_whether_all_rows_were_found_or_fewer() -> None:
    for features in (random_rows(300), repeated_rows(300)):
        lines: list[str] = []

        k_center_greedy(features, 150, 0, PlainProgress(lines.append, lambda: 0.0))

        assert lines == ["coreset: 149/149 (0 s)\n"]


def test_the_covering_radius_is_the_largest_distance_to_the_nearest_chosen_row() -> None:
    features = torch.tensor([[0.0, 0.0], [3.0, 4.0], [10.0, 0.0], [10.0, 1.0]])

    assert covering_radius(features, torch.tensor([0, 2])) == pytest.approx(5)
    assert covering_radius(features, torch.arange(4)) == 0
