"""Matching against its steps, and what spreads between good pictures do to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.support.naive_cpr import naive_distances
from torch import Tensor
from torch.nn import functional as F

from edge_build.detectors.cpr.matching import LEANING, bank_of, distances, plain, scaled


def units(*shape: int, seed: int = 0) -> Tensor:
    """Random descriptors of unit length along the third axis from the end."""
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-3)


@pytest.mark.parametrize("reach", [0, 1, 2])
def test_a_cell_is_as_far_as_the_nearest_one_within_reach_of_any_reference(reach: int) -> None:
    cells, references = units(16, 5, 7), units(3, 16, 5, 7, seed=1)
    scales = 0.5 + torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(2))

    found = distances(cells, torch.cat([references * scales[:, None], scales[:, None]], 1), reach)

    expected = naive_distances(*(t.double().numpy() for t in (cells, references, scales)), reach)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-6)  # float32 sums of 16 products


def test_a_plain_bank_measures_one_minus_cosine() -> None:
    cells, references = units(16, 5, 7), units(1, 16, 5, 7, seed=1)

    found = distances(cells, plain(references).float(), 0)

    torch.testing.assert_close(found, 1 - (cells * references[0]).sum(0), rtol=0, atol=2e-3)  # a bank in float16


def test_distances_count_less_where_good_pictures_differ_more() -> None:
    # three references that agree but for one cell, where they are at right angles
    references = torch.zeros(3, 4, 2, 2)
    references[:, 0] = 1
    for row in range(3):
        references[row, :, 0, 1] = torch.eye(4)[row + 1]
    others = torch.tensor([[1, 2], [0, 2], [0, 1]])

    bank = bank_of(references, others, reach=0)

    spreads = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    expected = (1 + LEANING) / (spreads / 0.25 + LEANING)
    torch.testing.assert_close(bank[:, -1].float(), expected.expand(3, 2, 2), rtol=0, atol=1e-3)
    torch.testing.assert_close(bank[0, :-1].float(), references[0] * expected, rtol=0, atol=1e-3)


def test_a_mean_spread_is_made_what_is_asked_for() -> None:
    references = units(5, 8, 6, 6)
    others = torch.tensor([[row for row in range(5) if row != own] for own in range(5)])

    bank = bank_of(references, others, reach=0, mean=0.2).float()

    plainly = torch.stack([distances(references[r], plain(references[others[r]]).float(), 0) for r in range(5)])
    scales = (1 + LEANING) / (plainly / plainly.mean() + LEANING) * 0.2 / plainly.mean()
    torch.testing.assert_close(bank[:, -1], scales, rtol=2e-3, atol=0)  # float16


def test_one_reference_alone_keeps_plain_distances() -> None:
    references = units(1, 8, 3, 3)

    bank = bank_of(references, torch.zeros(1, 0, dtype=torch.int64), reach=1)

    assert torch.equal(bank, scaled(references, torch.ones(1, 3, 3)))
