from __future__ import annotations

import numpy as np
import pytest
import torch

from edge_build.detectors.cpr.feature_maps import Maps
from edge_build.detectors.cpr.local_branch import LocalBranch
from edge_build.detectors.cpr.pair_loss import neighbourhoods, scale_loss, scale_of
from edge_build.detectors.cpr.training_pictures import Pool


def test_neighbourhoods_are_cut_around_their_places() -> None:
    maps = torch.randn(3, 4, 6, 7, generator=torch.Generator().manual_seed(0)).half()
    places = torch.tensor([[1 * 7 + 1, 4 * 7 + 5], [2 * 7 + 3, 3 * 7 + 2]])

    found = neighbourhoods(maps, torch.tensor([2, 0]), places, 7)

    expected = [maps[2, :, 0:3, 0:3], maps[2, :, 3:6, 4:7], maps[0, :, 1:4, 2:5], maps[0, :, 2:5, 1:4]]
    assert torch.equal(found, torch.stack(expected).float())


def pool_for(foreground: bool) -> Pool:
    """Two pictures of 8 x 8 fine cells; the first has a defect of 2 x 2 cells, and half of another one's pixels."""
    masks = np.zeros((2, 32, 32), np.bool_)
    masks[0, 8:16, 8:16] = True
    masks[0, 16:18, 8:12] = True
    part = torch.zeros(2, 8, 8)
    part[:, :, :4] = 1
    random = torch.Generator().manual_seed(0)
    maps = Maps(torch.randn(2, 24, 8, 8, generator=random).half(), torch.randn(2, 40, 4, 4, generator=random).half())
    return Pool(maps, masks, torch.zeros(2, 1, dtype=torch.long), part if foreground else None)


def test_pairs_are_drawn_inside_and_outside_of_defects_but_never_on_the_border() -> None:
    scale = scale_of(pool_for(False), pool_for(False).maps.fine)
    positive, anomalous = scale.positive[0].view(8, 8), scale.anomalous[0].view(8, 8)

    assert sorted(map(tuple, anomalous.nonzero().tolist())) == [(2, 2), (2, 3), (3, 2), (3, 3), (4, 2)]
    assert (positive[anomalous > 0] < 1e-5).all()
    assert float(positive[5, 5]) > 0.5
    assert float(positive[0].sum() + positive[:, -1].sum() + anomalous[0].sum()) == 0
    assert scale.radius == pytest.approx(5.66 / 4)


def test_on_a_part_places_are_drawn_where_the_part_is() -> None:
    scale = scale_of(pool_for(True), pool_for(True).maps.fine)

    weights = scale.positive[1].view(8, 8)
    assert float(weights[4, 1]) > 10 * float(weights[4, 6])


@pytest.mark.parametrize("with_remote", [True, False])
def test_the_loss_of_a_picture_against_itself_has_a_gradient(with_remote: bool) -> None:
    pool, branch = pool_for(with_remote), LocalBranch(24, 12, 16)
    scale, rows = scale_of(pool, pool.maps.fine), torch.tensor([0, 1])

    loss = scale_loss(branch, scale, pool.maps.fine, pool.maps.fine, rows, rows, with_remote, torch.Generator())
    loss.backward()

    # same places are perfect positives, but its defects are alike, which they must not be
    assert float(loss.detach()) > 0
    assert float(branch.entry.conv.weight.grad.abs().max()) > 0


def test_the_loss_is_that_of_the_paper_for_each_kind_of_pair() -> None:
    """Every neighbourhood is described by the same vector: all cosines are one."""

    class Constant(LocalBranch):
        def at_centres(self, neighbourhoods: torch.Tensor) -> torch.Tensor:
            return torch.eye(16)[0].expand(len(neighbourhoods), 16)

    pool, rows = pool_for(True), torch.tensor([0, 1])
    scale = scale_of(pool, pool.maps.fine)

    def loss(with_remote: bool, rows: torch.Tensor) -> float:
        maps = pool.maps.fine
        return float(scale_loss(Constant(24, 12, 16), scale, maps, maps, rows, rows, with_remote, torch.Generator()))

    assert loss(False, rows[1:]) == 0  # a good picture has positives alone, and these are alike
    assert loss(False, rows) == pytest.approx(1.2**3)  # what is alike and must not be: (1 + 0.2)^3
    assert loss(True, rows[1:]) == pytest.approx(1.2**3)  # the weights of remote pairs have the mean one
