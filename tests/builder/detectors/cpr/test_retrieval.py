"""Which references are found, against the divergence written down naively."""

from __future__ import annotations

import numpy as np
import torch
from tests.support.naive_cpr import naive_divergence, naive_histogram

from edge_build.detectors.cpr.retrieval import GlobalBranch, block_means


def test_blocks_are_means_whether_or_not_the_map_divides_by_five() -> None:
    even, uneven = block_means(10), block_means(16)

    torch.testing.assert_close(even, torch.eye(5).repeat_interleave(2, 1) / 2)
    torch.testing.assert_close(uneven.sum(1), torch.ones(5))
    torch.testing.assert_close(uneven.sum(0), torch.full((16,), 5 / 16))  # every cell counts the same
    assert ((uneven > 0).sum(1) <= 5).all()


def test_references_are_ranked_by_the_robust_divergence_of_their_histograms() -> None:
    random = torch.Generator().manual_seed(0)
    codebook = torch.randn(12, 6, generator=random)
    maps = torch.randn(13, 6, 20, 15, generator=random)
    branch = GlobalBranch(codebook, [maps[:5], maps[5:12]])

    found, order = branch.divergences(maps[12:]), branch(maps[12:])

    own, *others = (naive_histogram(m.double().numpy(), codebook.double().numpy()) for m in (maps[12], *maps[:12]))
    expected = [naive_divergence(own, other) for other in others]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)  # logarithms of 1e-8 in float32
    assert order.tolist() == np.argsort(expected)[:10].tolist()


def test_a_defect_within_five_blocks_does_not_change_which_reference_is_nearest() -> None:
    random = torch.Generator().manual_seed(0)
    codebook, maps = 3 * torch.randn(12, 6, generator=random), torch.randn(12, 6, 20, 20, generator=random)
    branch, picture = GlobalBranch(codebook, [maps]), maps[7:8].clone()
    picture[:, :, :4] = codebook[0][:, None, None]  # one row of blocks shows nothing but one code

    assert int(branch(picture)[0]) == 7
