"""Greedy k-centre coreset: the patches that cover all others best, for a memory bank that is small and complete.

The rule is the one of PatchCore (Roth et al. 2022, Algorithm 1; Gonzalez 1985): always take the point that is farthest
from all chosen ones. The published implementations update every point after every choice. Here the choices are made
in rounds: distances to the chosen set only ever shrink, so as long as the farthest of a few thousand candidates is at
least as far as every other point was when the round began, it is the farthest of all. All points are then updated once
a round by one matrix product. The result is that of the plain rule, up to the rounding of float32; no random
projection is needed.

    chosen = k_center_greedy(features, count=1000, seed=0, progress=progress)
    bank = features[chosen]
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor

from edge_build.progress import Progress

CANDIDATE_SHARE = 0.02
FEWEST_CANDIDATES = 1024
ROWS_AT_ONCE, CHOICES_AT_ONCE = 8192, 512
WORTH_THREADS = 128
# A squared distance from a product of float32 rows is uncertain by about 1e-6 of their squared lengths.
RESOLUTION = 2e-6


def k_center_greedy(features: Tensor, count: int, seed: int, progress: Progress) -> Tensor:
    """Indices (count,) int64 of the chosen rows of features (n, d) float32, in the order of choice.

    The first choice is random by the seed. Fewer rows come back when fewer are distinct (differ by more than 0.14 % of
    the longest centred row, which is what float32 tells apart here). Memory beyond the features: three floats a row,
    the candidates' copy (2 % of the rows) and a few blocks of some megabytes.
    Raises ValueError for a count outside 1..n.
    """
    if not 1 <= count <= len(features):
        raise ValueError(f"count must lie in 1..{len(features)}, got {count}")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(features), (1,), generator=generator)
    nearest = torch.full((len(features),), torch.inf)  # squared distance of each row to its nearest chosen row
    steps = progress.track("coreset", range(1, count))
    threads = torch.get_num_threads()
    # A short product gains less from a second thread than it loses by waking it: on a busy machine twenty times.
    with _threads(1):
        rows = _Rows(features)
        _update(nearest, rows, chosen)
        while len(chosen) < count:
            fresh = _choose_round(nearest, rows, count - len(chosen))
            if len(fresh) == 0:
                break  # every row is a copy of a chosen one
            with _threads(threads if len(fresh) >= WORTH_THREADS else 1):
                _update(nearest, rows, fresh)
            chosen = torch.cat([chosen, fresh])
            _advance(steps, len(fresh))
    _advance(steps, count)  # to the end, so that its last line is written
    return chosen


def covering_radius(features: Tensor, chosen: Tensor) -> float:
    """The largest Euclidean distance of any row (n, d) to its nearest chosen row: what the greedy rule minimises."""
    nearest = torch.full((len(features),), torch.inf)
    _update(nearest, _Rows(features), chosen)
    return math.sqrt(max(float(nearest.max()), 0.0))


class _Rows:
    """Features (n, d) less their mean, so that squared lengths keep their digits; centred on demand, not copied."""

    def __init__(self, features: Tensor) -> None:
        self._features, self._mean = features, features.mean(0)
        self.lengths = features.new_empty(len(features))  # squared
        for part in self.parts():
            torch.sum(self[part].square_(), 1, out=self.lengths[part])
        self.resolution = RESOLUTION * float(self.lengths.max())

    def __getitem__(self, some: Tensor | slice) -> Tensor:
        return self._features[some] - self._mean

    def parts(self) -> list[slice]:
        """All rows, a block at a time."""
        return [slice(start, start + ROWS_AT_ONCE) for start in range(0, len(self._features), ROWS_AT_ONCE)]


def _choose_round(nearest: Tensor, rows: _Rows, wanted: int) -> Tensor:
    """The next choices, exact as long as each is at least as far as every row that is no candidate."""
    size = min(len(nearest), max(FEWEST_CANDIDATES, int(CANDIDATE_SHARE * len(nearest))))
    far, candidates = nearest.topk(min(size + 1, len(nearest)))
    bound = float(far[size]) if len(far) > size else 0.0
    candidates, far = candidates[:size], far[:size].clone()
    vectors, lengths = rows[candidates], rows.lengths[candidates]
    fresh: list[int] = []
    while len(fresh) < wanted:
        best = int(far.argmax())
        distance = float(far[best])
        if distance <= rows.resolution or (fresh and distance < bound):
            break
        fresh.append(best)
        torch.minimum(far, lengths + lengths[best] - 2 * (vectors @ vectors[best]), out=far)
        far[best] = -1.0
    return candidates[fresh]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Torch's thread count within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _update(nearest: Tensor, rows: _Rows, fresh: Tensor) -> None:
    """Lower each row's squared distance to what the fresh choices bring, in place."""
    for some in torch.split(fresh, CHOICES_AT_ONCE):
        vectors, lengths = rows[some].T.contiguous(), rows.lengths[some]
        for part in rows.parts():
            closest = torch.addmm(lengths, rows[part], vectors, alpha=-2).amin(1)
            torch.minimum(nearest[part], (closest + rows.lengths[part]).clamp_(min=0), out=nearest[part])
    nearest[fresh] = -1.0  # a chosen row is never chosen again


def _advance(steps: Iterator[int], count: int) -> None:
    next(islice(steps, count, count), None)  # the recipe of itertools' documentation
