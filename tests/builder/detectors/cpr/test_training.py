"""Training in rounds: its schedule, its checkpoints, and that going on from one changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.tiny_dataset import part

from edge_build.checkpoint import Unfinished
from edge_build.detectors.cpr.feature_maps import Maps
from edge_build.detectors.cpr.learner import CprLearner
from edge_build.detectors.cpr.training import LEARNING_RATE, Schedule, train
from edge_build.detectors.cpr.training_pictures import Pool
from edge_build.detectors.cpr.training_set import numbers_after
from edge_build.detectors.cpr.training_state import Branches, TrainingState, bytes_from_state, new_state, restore
from edge_build.progress import PlainProgress, SilentProgress
from edge_build.recipe.detector_settings import CprSettings

CPU = torch.device("cpu")


@pytest.mark.parametrize(("steps", "round_steps"), [(600, 75), (8, 1), (100, 12), (3600, 75)])
def test_the_learning_rate_rises_for_a_round_stays_and_falls_to_the_end(steps: int, round_steps: int) -> None:
    schedule = Schedule(steps, round_steps)
    cooled_from = schedule.latest_cooling()

    rising = [schedule.learning_rate(step, None) for step in range(1, cooled_from + 1)]
    falling = [schedule.learning_rate(step, cooled_from) for step in range(cooled_from + 1, steps + 1)]

    assert rising == sorted(rising)
    assert rising[round_steps - 1 :] == [LEARNING_RATE] * (cooled_from - round_steps + 1)
    assert LEARNING_RATE > falling[0] > falling[-1] > 0
    assert np.allclose(np.diff(falling), np.diff(falling)[0])
    assert schedule.end(cooled_from) == steps
    assert cooled_from % round_steps == 0
    assert cooled_from / steps == pytest.approx(0.6, abs=0.05)


def test_a_training_that_is_stopped_early_is_a_shorter_one_of_the_same_form() -> None:
    assert Schedule(3600, 75).end(375) == 625
    assert Schedule(3600, 75).learning_rate(625, 375) > 0


@pytest.mark.parametrize(("rounds", "expected"), [(0, [0, 1, 2, 3, 4]), (1, [5, 6, 2, 3, 4]), (3, [10, 6, 7, 8, 9])])
def test_each_round_replaces_the_oldest_pictures_of_the_pool(rounds: int, expected: list[int]) -> None:
    assert numbers_after(rounds, 5, 2) == expected
    assert numbers_after(rounds, 5, 0) == [0, 1, 2, 3, 4]


def made_pool() -> tuple[Maps, Pool]:
    """Features that are noise: of three good pictures, and of four with defects."""
    random = torch.Generator().manual_seed(0)
    good = Maps(torch.randn(3, 24, 8, 8, generator=random).half(), torch.randn(3, 40, 4, 4, generator=random).half())
    bad = Maps(torch.randn(4, 24, 8, 8, generator=random).half(), torch.randn(4, 40, 4, 4, generator=random).half())
    masks = np.zeros((4, 32, 32), np.bool_)
    masks[:, 8:20, 8:16] = True
    return good, Pool(bad, masks, torch.tensor([[0, 1], [1, 2], [0, 2], [0, 1]]), None)


def trained(
    judged: list[float], steps: int = 24, save: Callable[[TrainingState], None] = lambda state: None, stop: int = 99
) -> tuple[TrainingState, list[str]]:
    """A training whose judge finds these figures, round after round; ended by Ctrl-C after `stop` rounds."""
    good, pool = made_pool()
    state, output = new_state((24, 40), 12, 16, 0, CPU), []
    figures = iter(judged)

    def after_round(rounds: int) -> bool:
        save(state)
        if rounds == stop:
            raise KeyboardInterrupt
        return False

    with contextlib.suppress(KeyboardInterrupt):
        train(state, Schedule(steps, 2), good, pool, lambda _: next(figures), after_round, PlainProgress(output.append))
    return state, output


def test_the_best_state_is_kept_and_a_training_that_gets_no_better_ends_early() -> None:
    best: list[dict[str, torch.Tensor]] = []

    def save(state: TrainingState) -> None:
        best.append(state.best_local)

    state, output = trained([0.1, 0.5, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4], steps=100, save=save)

    assert state.finished
    assert (state.step, state.best, state.cooled_from) == (17, 0.5, 10)
    assert "no better for 3 rounds: the training ends at step 17\n" in output
    for name, value in state.best_local.items():
        assert torch.equal(value, best[1][name])


def test_a_training_goes_on_to_its_end_as_long_as_it_gets_better() -> None:
    state, _ = trained([0.1 * number for number in range(12)])

    assert (state.step, state.finished, state.stale) == (24, True, 0)


@pytest.mark.parametrize("stop", [1, 7, 9])
def test_going_on_from_a_checkpoint_gives_the_same_numbers_as_never_stopping(stop: int) -> None:
    figures = [0.1, 0.5, 0.2, 0.6, 0.5, 0.4, 0.5, 0.6, 0.7, 0.6, 0.6, 0.6]
    whole, _ = trained(figures)
    saved: list[bytes] = []
    trained(figures, save=lambda state: saved.append(bytes_from_state(state)), stop=stop)

    good, pool = made_pool()
    again, rest = new_state((24, 40), 12, 16, 1, CPU), iter(figures[stop:])
    restore(again, saved[-1])
    train(again, Schedule(24, 2), good, pool, lambda _: next(rest), lambda _: False, SilentProgress())

    assert (again.step, again.best, again.stale, again.cooled_from, again.finished) == (
        whole.step, whole.best, whole.stale, whole.cooled_from, True
    )  # fmt: skip
    for ours, theirs in zip(branch_tensors(again), branch_tensors(whole), strict=True):
        assert torch.equal(ours, theirs)


def branch_tensors(state: TrainingState) -> list[torch.Tensor]:
    branches: Branches = state.best_branches()
    return [*state.local.state_dict().values(), *(p for branch in branches for p in branch.parameters())]


class StoppedError(Exception):
    """Instead of a kill, which the end-to-end test does."""


class StoppingWork(Unfinished):
    """Stops a build after some checkpoints."""

    def __init__(self, folder: Path, saves: int) -> None:
        super().__init__(folder)
        self.saves = saves

    def save(self, name: str, content: bytes, reached: str) -> None:
        super().save(name, content, reached)
        self.saves -= 1
        if self.saves == 0:
            raise StoppedError


@pytest.mark.parametrize("saves", [3, 8])
def test_a_thorough_training_goes_on_with_the_pictures_that_it_had(tmp_path: Path, saves: int) -> None:
    """Several rounds, each with new pictures in the pool; the judge is the real one."""
    pictures = np.stack([part(seed)[0] for seed in range(8)])
    settings = CprSettings(pool=6, steps=8, width=12)

    def learner(work: Unfinished | None) -> CprLearner:
        return CprLearner(pictures, settings, 16, 0, SilentProgress(), work=work, thorough=True, device=CPU)

    whole = learner(None).learn(range(8))
    with pytest.raises(StoppedError):
        learner(StoppingWork(tmp_path, saves)).learn(range(8))
    again = learner(Unfinished(tmp_path)).learn(range(8))

    for ours, theirs in zip(again.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert again.notes == whole.notes
    assert whole.notes[-1].startswith("--thorough: ")


def test_a_resumed_training_does_not_make_its_pictures_again(tmp_path: Path) -> None:
    pictures = np.stack([part(seed)[0] for seed in range(8)])
    settings, output = CprSettings(pool=6, steps=8, width=12), list[str]()

    def learner(work: Unfinished | None, write: Callable[[str], object]) -> CprLearner:
        return CprLearner(pictures, settings, 16, 0, PlainProgress(write), work=work, device=CPU)

    whole = learner(None, lambda _: None).learn(range(8))
    with pytest.raises(StoppedError):
        learner(StoppingWork(tmp_path, 2), lambda _: None).learn(range(8))
    again = learner(Unfinished(tmp_path), output.append).learn(range(8))

    assert "made-up defects: 6 of 6 are there from before\n" in output
    assert not any(line.startswith(("made-up defects: 6/6", "made-up validation: 1")) for line in output)
    for ours, theirs in zip(again.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert [path.name[:8] for path in tmp_path.glob("*.checkpoint")] == ["training"]  # nothing large remains
