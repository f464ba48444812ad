from __future__ import annotations

import torch
from torch import Tensor

from edge_build.detectors.cpr.references import MOST_BYTES, references_allowed, select_references
from edge_build.progress import SilentProgress


def histograms(seed: int, count: int) -> Tensor:
    """(count, 25, 12): shares of codes."""
    weights = torch.rand(count, 25, 12, generator=torch.Generator().manual_seed(seed)) ** 4
    return weights / weights.sum(2, keepdim=True)


def test_pictures_that_cover_the_others_are_kept_and_near_copies_are_not() -> None:
    kinds, random = histograms(0, 5), torch.Generator().manual_seed(1)
    jittered = kinds.repeat_interleave(40, 0) + 0.002 * torch.rand(200, 25, 12, generator=random)
    every = jittered / jittered.sum(2, keepdim=True)

    kept = select_references(every, 5, 0, SilentProgress())

    assert sorted(row // 40 for row in kept) == [0, 1, 2, 3, 4]
    assert kept == sorted(kept)


def test_exact_copies_count_once() -> None:
    copies = histograms(0, 3).repeat(10, 1, 1)

    assert len(select_references(copies, 8, 0, SilentProgress())) == 3


def test_all_are_kept_when_there_are_no_more_than_asked_for() -> None:
    assert select_references(histograms(0, 7), 7, 0, SilentProgress()) == list(range(7))


def test_a_graph_holds_as_many_as_asked_for_and_as_fit() -> None:
    each = 2 * 16 * (6400 + 1600)

    assert references_allowed(300, each) == 300
    assert references_allowed(None, each) == MOST_BYTES // each > 4000
    assert references_allowed(300, 24 * each) == MOST_BYTES // (24 * each) < 300  # 384 numbers a cell
