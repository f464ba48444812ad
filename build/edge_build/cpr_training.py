"""Training CPR's local branches on pairs of cells: many short steps, with looks at the hold-out in between.

The local branch sees 3x3 cells, so it is trained on such neighbourhoods instead of whole maps. The state that was best
on the hold-out is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from edge_build.cpr import LocalBranch
from edge_build.cpr_maps import Maps
from edge_build.cpr_pairs import Scale, scale_loss, scale_of
from edge_build.cpr_pool import Pool
from edge_build.progress import Progress

PICTURES_AT_ONCE = 16  # of a step
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 1e-2
CHECKS = 8  # how often the hold-out is measured

Branches = tuple[LocalBranch, LocalBranch]


def train(
    width: int,
    dimensions: int,
    steps: int,
    seed: int,
    references: Maps,
    pool: Pool,
    judge: Callable[[Branches], float],
    progress: Progress,
) -> tuple[Branches, float]:
    """Both local branches at their best, folded, and what the judge found then; higher is better.

    width, dimensions: of the branches, as `LocalBranch` has them.
    """
    generator = torch.Generator().manual_seed(seed)
    local = _new_branches(width, dimensions, references, seed)
    scales = [scale_of(pool, m) for m in (pool.maps.fine, pool.maps.coarse)]
    optimizer = torch.optim.AdamW(local.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    best, best_state = -1.0, copy.deepcopy(local.state_dict())
    checks = set(np.linspace(0, steps, CHECKS + 1).round().astype(int)[1:].tolist())
    losses: list[float] = []
    for step in progress.track("training", range(1, steps + 1)):
        loss = _step_loss(local, scales, references, pool, generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step in checks:
            found = judge(_folded(local))
            progress.say(f"step {step}: loss {np.mean(losses):.4f}, hold-out average precision {found:.1%}")
            losses.clear()
            if found > best:
                best, best_state = found, copy.deepcopy(local.state_dict())
    local.load_state_dict(best_state)
    return _folded(local), best


def _new_branches(width: int, dimensions: int, references: Maps, seed: int) -> nn.ModuleList:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.ModuleList(LocalBranch(m.shape[1], width, dimensions) for m in (references.fine, references.coarse))


def _step_loss(
    local: nn.ModuleList, scales: list[Scale], references: Maps, pool: Pool, generator: torch.Generator
) -> Tensor:
    count = min(PICTURES_AT_ONCE, len(pool.masks))
    rows = torch.randperm(len(pool.masks), generator=generator)[:count]
    picks = torch.randint(pool.nearest.shape[1], (count,), generator=generator)
    compared = pool.nearest[rows, picks]
    total = torch.zeros(())
    pairs = zip(local, scales, (pool.maps.fine, pool.maps.coarse), (references.fine, references.coarse), strict=True)
    for branch, scale, queries, others in pairs:
        assert isinstance(branch, LocalBranch)
        with_remote = pool.foreground is not None  # on a texture, places that are far apart look alike
        total = total + scale_loss(branch, scale, queries, others, rows, compared, with_remote, generator)
    return total


def _folded(local: nn.ModuleList) -> Branches:
    fine, coarse = local
    assert isinstance(fine, LocalBranch)
    assert isinstance(coarse, LocalBranch)
    return fine.folded(), coarse.folded()
