"""Training CPR's local branches on pairs of cells: rounds of short steps, a validation after each.

The local branch sees 3x3 cells, so it is trained on such neighbourhoods instead of whole maps. The learning rate rises
for a round, stays, and falls to nothing over the last two fifths; when validation improves no more, it falls at once,
over as large a share, so that a training that is stopped early is a shorter one of the same form. The state that
was best in validation is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edge_build.detectors.cpr.feature_maps import Maps
from edge_build.detectors.cpr.local_branch import LocalBranch
from edge_build.detectors.cpr.pair_loss import Scale, scale_loss, scale_of
from edge_build.detectors.cpr.training_pictures import Pool
from edge_build.detectors.cpr.training_state import Branches, TrainingState, folded
from edge_build.progress import Progress

PICTURES_AT_ONCE = 16  # of a step
LEARNING_RATE = 2e-3
ROUNDS = 8
FALLING_SHARE = 0.4  # of the steps
PATIENCE = 3  # rounds without a better validation


@dataclass(frozen=True)
class Schedule:
    """At most so many steps, in rounds of so many."""

    steps: int
    round_steps: int

    def learning_rate(self, step: int, cooled_from: int | None) -> float:
        """Of a step, counted from 1."""
        if cooled_from is None:
            return LEARNING_RATE * min(1.0, step / self.round_steps)
        return LEARNING_RATE * (1 - (step - cooled_from) / (self.end(cooled_from) - cooled_from + 1))

    def latest_cooling(self) -> int:
        """The step from which the rate falls at the latest: the end of a round."""
        return round((1 - FALLING_SHARE) * self.steps / self.round_steps) * self.round_steps

    def end(self, cooled_from: int) -> int:
        """The last step of a training that cools from there."""
        early = cooled_from < self.latest_cooling()
        return min(self.steps, round(cooled_from / (1 - FALLING_SHARE))) if early else self.steps


def train(
    state: TrainingState,
    schedule: Schedule,
    references: Maps,
    pool: Pool,
    judge: Callable[[Branches], float],
    after_round: Callable[[int], bool],
    progress: Progress,
) -> None:
    """Bring the state to its end. judge: what branches are worth on the validation pictures, higher is better.

    after_round: called with the number of rounds done, when the state is one to go on from; says if the
    pool has changed.
    """
    scales = _scales(pool)
    losses: list[float] = []
    state.local.train()
    for step in progress.track("training", range(state.step + 1, schedule.steps + 1)):
        for group in state.optimizer.param_groups:
            group["lr"] = schedule.learning_rate(step, state.cooled_from)
        loss = _step_loss(state.local, scales, references, pool, state.generator)
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
        state.optimizer.step()
        losses.append(float(loss.detach()))
        state.step = step
        last = step == (schedule.steps if state.cooled_from is None else schedule.end(state.cooled_from))
        if step % schedule.round_steps and not last:
            continue
        found = judge(folded(state.local))
        state.judged(found)
        progress.say(f"step {step}: loss {np.mean(losses):.4f}, validation average precision {found:.1%}")
        losses.clear()
        if last:
            break
        if state.cooled_from is None and (state.stale >= PATIENCE or step >= schedule.latest_cooling()):
            state.cooled_from = step
            if state.stale >= PATIENCE:
                progress.say(f"no better for {PATIENCE} rounds: the training ends at step {schedule.end(step)}")
        if after_round(step // schedule.round_steps):
            scales = _scales(pool)
    state.finished = True


def _scales(pool: Pool) -> list[Scale]:
    return [scale_of(pool, m) for m in (pool.maps.fine, pool.maps.coarse)]


def _step_loss(
    local: nn.ModuleList, scales: list[Scale], references: Maps, pool: Pool, generator: torch.Generator
) -> Tensor:
    count = min(PICTURES_AT_ONCE, len(pool.masks))
    rows = torch.randperm(len(pool.masks), generator=generator)[:count]
    picks = torch.randint(pool.nearest.shape[1], (count,), generator=generator)
    compared = pool.nearest[rows, picks]
    total = torch.zeros((), device=next(local.parameters()).device)
    pairs = zip(local, scales, (pool.maps.fine, pool.maps.coarse), (references.fine, references.coarse), strict=True)
    for branch, scale, queries, others in pairs:
        assert isinstance(branch, LocalBranch)
        with_remote = pool.foreground is not None  # on a texture, places that are far apart look alike
        total = total + scale_loss(branch, scale, queries, others, rows, compared, with_remote, generator)
    return total
