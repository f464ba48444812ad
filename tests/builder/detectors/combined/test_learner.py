from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.support.naive_patchcore import measured
from tests.support.tiny_dataset import part

from edge_build.detectors.combined.learner import CombinedLearner, rows_to_weigh_with, weights_of
from edge_build.detectors.cpr.model import score_of
from edge_build.detectors.cpr.validation import pick_validation_rows
from edge_build.progress import PlainProgress, SilentProgress
from edge_build.recipe.detector_settings import CombinedSettings, CprSettings
from edge_runtime.errors import ConfigError

QUICK, FEW = CprSettings(pool=12, steps=8, width=12), CombinedSettings(entries=40)


def parts(count: int) -> np.ndarray:
    return np.stack([part(seed)[0] for seed in range(count)])


@pytest.fixture(scope="module")
def learner() -> CombinedLearner:
    """With the published weights."""
    return CombinedLearner(parts(10), FEW, QUICK, 3, SilentProgress())


def test_a_scratched_part_scores_above_a_good_one(learner: CombinedLearner) -> None:
    detector = learner.learn(range(8), [8, 9])

    good = [measured(detector, torch.from_numpy(part(seed)[0][None]))[0] for seed in (100, 101, 102)]
    bad = [measured(detector, torch.from_numpy(part(seed, scratched=True)[0][None]))[0] for seed in (200, 201, 202)]
    assert 0 < max(good) < min(bad)


def test_what_is_known_is_compared_with(learner: CombinedLearner) -> None:
    without, with_known = learner.learn(range(8)), learner.learn(range(8), [8, 9])

    assert (without.cascade.entries, with_known.cascade.entries) == (8, 10)
    cells = with_known.memory.grid[0] * with_known.memory.grid[1]
    assert without.memory.entries == with_known.memory.entries == min(40, 10 * cells // 10)  # a tenth at most
    assert without.weights != with_known.weights  # what is held out weighs, too


def test_detectors_that_know_different_pictures_have_one_scale(learner: CombinedLearner) -> None:
    whole, less = learner.learn(range(6), [6, 7, 8, 9]), learner.learn(range(6), [6, 7])

    assert whole.weights == less.weights
    assert whole.score.usual.tolist() == less.score.usual.tolist()


@pytest.mark.parametrize(("chosen", "known"), [(30, 20), (300, 100), (10, 0), (3, 1)])
def test_weights_rest_on_pictures_that_nothing_was_learned_from_where_there_are_enough(chosen: int, known: int) -> None:
    rows = rows_to_weigh_with(range(chosen), range(chosen, chosen + known))

    held_out = {*pick_validation_rows(chosen), *range(chosen, chosen + known)}
    assert len(rows) == len(set(rows)) == min(80, len(held_out) if len(held_out) >= 8 else chosen + known)
    assert set(rows) <= held_out or len(held_out) < 8


def test_the_same_pictures_and_seed_give_the_same_scores() -> None:
    image = torch.from_numpy(part(99)[0][None])

    first, again = (
        measured(CombinedLearner(parts(6), FEW, QUICK, 3, SilentProgress()).learn(range(6)), image) for _ in range(2)
    )

    assert first[0] == again[0]
    np.testing.assert_array_equal(first[1], again[1])


def test_four_pictures_are_enough_to_learn_from() -> None:
    detector = CombinedLearner(parts(4), FEW, QUICK, 3, SilentProgress()).learn([0, 1, 2], [3])

    assert np.isfinite(measured(detector, torch.from_numpy(part(99)[0][None]))[0])


def test_the_weights_are_logged() -> None:
    output: list[str] = []
    CombinedLearner(parts(4), FEW, QUICK, 3, PlainProgress(output.append)).learn(range(4))

    assert "weights: cascade " in "".join(output)


def test_the_steadier_detector_counts_for_more_and_a_usual_score_is_one() -> None:
    random = torch.Generator().manual_seed(0)
    steady = 5 + 0.1 * torch.randn(40, 1, 1, generator=random) + 0.01 * torch.rand(40, 32, 32, generator=random)
    unsteady = 5 + 0.5 * torch.randn(40, 1, 1, generator=random) + 0.01 * torch.rand(40, 32, 32, generator=random)

    weights = weights_of(steady, unsteady)

    assert weights[0] / weights[1] == pytest.approx(5, rel=0.4)
    scores = torch.cat([score_of(m) for m in steady * weights[0] + unsteady * weights[1]])
    assert float(scores.median()) == pytest.approx(1, rel=1e-4)


def test_maps_of_nothing_leave_both_as_they_are() -> None:
    nothing = torch.zeros(3, 16, 16)

    assert weights_of(nothing, nothing) == (1.0, 1.0)


def test_no_background_is_looked_for_unless_the_view_knows_the_part_or_the_recipe_asks() -> None:
    def note(kind: str, part: np.ndarray | None = None) -> str:
        cpr = QUICK.model_copy(update={"kind": kind})
        return CombinedLearner(parts(4), FEW, cpr, 3, SilentProgress(), part=part).learn(range(4)).notes[0]

    assert note("auto") == "kind: texture: no foreground is separated"
    assert note("auto", np.ones((64, 64), np.float32)) != note("auto")
    with pytest.raises(ConfigError, match=r"cpr\.kind is object, but"):  # nothing stands out in these small parts
        note("object")
