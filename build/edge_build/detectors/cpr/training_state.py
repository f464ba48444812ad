"""Where a training of CPR's local branches stands, and the same as bytes: what a checkpoint holds.

Nothing else decides what follows, so a training that goes on from a state ends like one that was never interrupted.
"""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edge_build.detectors.cpr.local_branch import LocalBranch

WEIGHT_DECAY = 1e-2

Branches = tuple[LocalBranch, LocalBranch]


@dataclass
class TrainingState:
    """step: how many were done. best: what the judge found at its best, of the weights `best_local`.

    stale: how many validations ago that was. cooled_from: the step from which the learning rate falls, None as
    long as it does not. finished: no step will follow.
    """

    local: nn.ModuleList
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    best_local: dict[str, Tensor]
    step: int = 0
    best: float = -1.0
    stale: int = 0
    cooled_from: int | None = None
    finished: bool = False

    def judged(self, found: float) -> None:
        """Keep the weights if they are the best so far."""
        if found > self.best:
            self.best, self.stale, self.best_local = found, 0, copy.deepcopy(self.local.state_dict())
        else:
            self.stale += 1

    def best_branches(self) -> Branches:
        """Both branches at their best, folded, in host memory."""
        best = copy.deepcopy(self.local)
        best.load_state_dict(self.best_local)
        return folded(best.cpu())


def new_state(channels: tuple[int, int], width: int, dimensions: int, seed: int, device: torch.device) -> TrainingState:
    """Before the first step; channels: of the two scales' features. width, dimensions: as `LocalBranch` has them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # on the host: the same everywhere
        local = nn.ModuleList(LocalBranch(count, width, dimensions) for count in channels)
    local.to(device)
    optimizer = torch.optim.AdamW(local.parameters(), weight_decay=WEIGHT_DECAY)
    generator = torch.Generator(device="cpu").manual_seed(seed)
    return TrainingState(local, optimizer, generator, copy.deepcopy(local.state_dict()))


def bytes_from_state(state: TrainingState) -> bytes:
    """What `restore` takes."""
    buffer = io.BytesIO()
    plain = {
        "local": state.local.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "generator": state.generator.get_state(),
        "best_local": state.best_local,
        "step": state.step,
        "best": state.best,
        "stale": state.stale,
        "cooled_from": state.cooled_from,
        "finished": state.finished,
    }
    torch.save(plain, buffer)
    return buffer.getvalue()


def restore(state: TrainingState, content: bytes) -> None:
    """Bring a new state to where `bytes_from_state` was called."""
    device = next(state.local.parameters()).device
    plain = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    state.local.load_state_dict(plain["local"])
    state.optimizer.load_state_dict(plain["optimizer"])
    state.generator.set_state(plain["generator"].cpu())
    state.best_local = plain["best_local"]
    state.step, state.best, state.stale = plain["step"], plain["best"], plain["stale"]
    state.cooled_from, state.finished = plain["cooled_from"], plain["finished"]


def folded(local: nn.ModuleList) -> Branches:
    """Both branches for use, without batch norms."""
    fine, coarse = local
    assert isinstance(fine, LocalBranch)
    assert isinstance(coarse, LocalBranch)
    return fine.folded(), coarse.folded()
