from __future__ import annotations

import torch
from tests.support.made_detectors import trained_branch


def test_a_branch_gives_cells_of_unit_length() -> None:
    with torch.inference_mode():
        found = trained_branch()(torch.randn(2, 24, 6, 7))

    assert found.shape == (2, 16, 6, 7)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2, 6, 7))


def test_a_neighbourhood_is_described_as_its_middle_is_in_the_whole_map() -> None:
    branch, maps = trained_branch(), torch.randn(1, 24, 7, 8, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        whole, cut = branch(maps), branch.at_centres(maps[:, :, 2:5, 3:6])

    torch.testing.assert_close(cut[0], whole[0, :, 3, 4], rtol=0, atol=1e-5)  # other kernels for other sizes


def test_folding_batch_norms_changes_nothing_but_rounding() -> None:
    branch, maps = trained_branch(), torch.randn(1, 24, 7, 8)

    with torch.inference_mode():
        expected, found = branch(maps), branch.folded()(maps)

    assert not [part for part in branch.folded().modules() if isinstance(part, torch.nn.BatchNorm2d)]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
