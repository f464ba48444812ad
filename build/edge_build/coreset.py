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

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor

from edge_build.progress import Progress

CANDIDATE_SHARE = 0.02
FEWEST_CANDIDATES = 1024
ROWS_AT_ONCE = 8192


def k_center_greedy(features: Tensor, count: int, seed: int, progress: Progress) -> Tensor:
    """Indices (count,) int64 of the chosen rows of features (n, d) float32, in the order of choice.

    The first choice is random by the seed. Fewer rows come back when fewer are distinct. Memory beyond the features:
    two floats a row, the candidates' copy (2 % of the rows) and a block of a few megabytes.
    Raises ValueError for a count outside 1..n.
    """
    if not 1 <= count <= len(features):
        raise ValueError(f"count must lie in 1..{len(features)}, got {count}")
    centred = features - features.mean(0)  # squared norms keep their digits
    norms = centred.square().sum(1)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(features), (1,), generator=generator)
    nearest = torch.full_like(norms, torch.inf)  # squared distance of each row to its nearest chosen row
    _update(nearest, centred, norms, chosen)
    steps = progress.track("coreset", range(1, count))
    while len(chosen) < count:
        fresh = _choose_round(nearest, centred, norms, count - len(chosen))
        if len(fresh) == 0:
            break  # every row is a copy of a chosen one
        _update(nearest, centred, norms, fresh)
        chosen = torch.cat([chosen, fresh])
        next(islice(steps, len(fresh) - 1, None), None)
    return chosen


def covering_radius(features: Tensor, chosen: Tensor) -> float:
    """The largest Euclidean distance of any row (n, d) to its nearest chosen row: what the greedy rule minimises."""
    nearest = torch.full((len(features),), torch.inf)
    centred = features - features.mean(0)
    for part in torch.split(chosen, 1024):
        _update(nearest, centred, centred.square().sum(1), part)
    return float(nearest.max().sqrt())


def _choose_round(nearest: Tensor, centred: Tensor, norms: Tensor, wanted: int) -> Tensor:
    """The next choices, exact as long as each is at least as far as every row that is no candidate."""
    size = min(len(nearest), max(FEWEST_CANDIDATES, int(CANDIDATE_SHARE * len(nearest))))
    far, candidates = nearest.topk(min(size + 1, len(nearest)))
    bound = float(far[size]) if len(far) > size else 0.0
    candidates, far = candidates[:size], far[:size].clone()
    rows, lengths = centred[candidates], norms[candidates]
    fresh: list[int] = []
    with _one_thread():
        while len(fresh) < wanted:
            best = int(far.argmax())
            distance = float(far[best])
            if distance <= 0 or (fresh and distance < bound):
                break
            fresh.append(best)
            torch.minimum(far, lengths + lengths[best] - 2 * (rows @ rows[best]), out=far)
            far[best] = -1.0
    return candidates[fresh]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Products of a few microseconds lose more by waking a second thread than they gain, ten times on a busy host."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _update(nearest: Tensor, centred: Tensor, norms: Tensor, fresh: Tensor) -> None:
    """Lower each row's squared distance to what the fresh choices bring, in place."""
    rows, lengths = centred[fresh].T.contiguous(), norms[fresh]
    for start in range(0, len(nearest), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        closest = torch.addmm(lengths, centred[part], rows, alpha=-2).amin(1)
        torch.minimum(nearest[part], (closest + norms[part]).clamp_(min=0), out=nearest[part])
    nearest[fresh] = -1.0  # a chosen row is never chosen again
