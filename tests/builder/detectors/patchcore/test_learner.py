from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.support.made_network import made_pictures
from tests.support.naive_patchcore import flat, measured, naive_scores

from edge_build.detectors.backbones.backbone import load_backbone
from edge_build.detectors.patchcore.learner import PICTURES_AT_ONCE, PatchcoreLearner, fit_projection, settle
from edge_build.detectors.patchcore.model import PatchFeatures
from edge_build.progress import SilentProgress
from edge_build.recipe.detector_settings import BankSettings, PatchcoreSettings
from edge_runtime.errors import ConfigError


def test_all_dimensions_are_kept_centred_when_none_is_asked_for() -> None:
    patches = 5 + torch.randn(200, 12, generator=torch.Generator().manual_seed(0))

    projection = fit_projection(patches, None, None)

    assert projection.axes is None
    torch.testing.assert_close(projection(patches).mean(0), torch.zeros(12), rtol=0, atol=1e-5)


def test_a_number_of_dimensions_keeps_the_axes_of_most_variance() -> None:
    random = torch.Generator().manual_seed(0)
    spread = torch.tensor([9.0, 5, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    turn = torch.linalg.qr(torch.randn(12, 12, generator=random)).Q
    patches = 7 + (spread * torch.randn(5000, 12, generator=random)) @ turn.T

    reduced = fit_projection(patches, None, 8)(patches)

    assert reduced.shape == (5000, 8)
    assert reduced.std(0)[:3].tolist() == pytest.approx([9, 5, 3], rel=0.05)  # of 5000 samples: 1 % each
    covariance = torch.cov(reduced.T)
    assert float((covariance - covariance.diag().diag()).abs().max()) < 1e-2  # uncorrelated, but for float32


@pytest.mark.parametrize(("share", "kept"), [(0.5, 1), (0.8, 2), (0.93, 3), (0.999999, 10)])
def test_a_share_keeps_the_fewest_dimensions_that_hold_it(share: float, kept: int) -> None:
    spread = torch.tensor([9.0, 5, 3, 1, 1, 1, 1, 1, 1, 1])  # variances 81, 25, 9 and seven times 1: of 122
    patches = spread * torch.randn(5000, 10, generator=torch.Generator().manual_seed(0))

    assert fit_projection(patches, None, share)(patches).shape == (5000, kept)


def test_more_dimensions_than_there_are_is_a_wrong_recipe() -> None:
    with pytest.raises(
        ConfigError, match=r"patchcore\.dimensions is 13, but these stages have 12: ask for at most that"
    ):
        fit_projection(torch.zeros(20, 12), None, 13)


def test_one_gain_makes_the_variances_of_both_stages_equal() -> None:
    spread = torch.tensor([0.1] * 4 + [5.0] * 8)
    patches = 3 + spread * torch.randn(1000, 12, generator=torch.Generator().manual_seed(0))

    balanced = fit_projection(patches, 4, None)(patches)

    fine, coarse = balanced[:, :4].var(0).sum(), balanced[:, 4:].var(0).sum()
    torch.testing.assert_close(fine, coarse, rtol=1e-3, atol=0)  # float32 sums over 1000 rows
    torch.testing.assert_close(balanced[:, 4:], patches[:, 4:] - patches[:, 4:].mean(0), rtol=0, atol=1e-4)


def test_stages_without_any_variance_get_no_gain() -> None:
    patches = torch.cat([torch.ones(50, 4), torch.randn(50, 8, generator=torch.Generator().manual_seed(0))], 1)

    assert fit_projection(patches, 4, None).gain.tolist() == [1.0] * 12


def test_an_entry_moves_halfway_to_the_middle_of_its_patches() -> None:
    """Two entries at the rim of their patches; each counts as one of them."""
    bank = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    left = torch.tensor([[4.0, 2.0]]).repeat(99, 1)
    right = torch.tensor([[90.0, 10.0]]).repeat(199, 1)

    settled, _ = settle(torch.cat([left, right]), bank, seed=0)

    halfway = torch.tensor([[1.98, 0.99], [95.025, 4.975]])
    torch.testing.assert_close(settled, halfway, rtol=1e-5, atol=0)  # float32 sums


def test_a_distance_says_less_where_good_patches_vary_more() -> None:
    """Two entries, one with patches at distance 1 around it, one at distance 3."""
    bank = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    around = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]).repeat(100, 1)

    settled, scales = settle(torch.cat([bank[0] + around, bank[1] + 3 * around]), bank, seed=0)

    torch.testing.assert_close(settled, bank, rtol=0, atol=1e-3)  # the sum of 400 numbers near 100 in float32
    overall = (1 + 9) / 2
    # each reach leans on the overall one, as if 21 patches more had it: 20 and the entry itself
    expected = [(overall * 421 / (400 * own + 21 * overall)) ** 0.5 for own in (1, 9)]
    assert scales.tolist() == pytest.approx(expected, rel=1e-3)


def test_an_entry_that_no_patch_is_nearest_to_stays_and_is_scaled_as_the_rest() -> None:
    bank = torch.tensor([[0.0], [50.0]])

    settled, scales = settle(torch.tensor([[-1.0], [1.0]]).repeat(500, 1), bank, seed=0)

    assert settled[1].tolist() == [50.0]
    assert scales.tolist() == pytest.approx([1.0, 1.0])


def test_a_bank_of_all_patches_stays_with_plain_distances() -> None:
    bank = torch.eye(5)

    settled, scales = settle(bank, bank, seed=0)

    assert torch.equal(settled, bank)
    assert scales.tolist() == [1.0] * 5


def test_pictures_that_are_all_alike_leave_distances_plain() -> None:
    assert settle(torch.ones(30, 8), torch.ones(1, 8), seed=0)[1].tolist() == [1]


def test_learning_without_adaption_is_the_paper() -> None:
    settings = PatchcoreSettings(bank=BankSettings(ratio=1.0), adapt=False, neighbors=1)
    pictures, image = made_pictures(2, seed=1), made_pictures(1, seed=9)
    detector = PatchcoreLearner(pictures.numpy(), settings, 0, SilentProgress()).learn(range(2))
    extractor = PatchFeatures(load_backbone("efficientnet-lite0", (3, 5)))

    score, _ = measured(detector, image)

    with torch.inference_mode():
        bank, patches = flat(extractor(pictures)), flat(extractor(image))
    assert score == pytest.approx(naive_scores(patches, bank, 1)[0], rel=1e-3)


LEARNED = PatchcoreSettings(bank=BankSettings(ratio=0.25), dimensions=16)


@pytest.fixture(scope="module")
def learner() -> PatchcoreLearner:
    """With the published weights."""
    return PatchcoreLearner(made_pictures(5, 64, 96).numpy(), LEARNED, 3, SilentProgress())


def test_a_learned_bank_has_the_share_and_dimensions_of_the_recipe(learner: PatchcoreLearner) -> None:
    detector = learner.learn(range(5))

    assert (detector.entries, detector.dimensions) == (5 * 96 // 4, 16)
    assert not detector.training


def test_the_same_pictures_and_seed_give_the_same_scores(learner: PatchcoreLearner) -> None:
    image = made_pictures(1, 64, 96, seed=9)

    (first, first_map), (again, again_map) = (measured(learner.learn([0, 2, 3]), image) for _ in range(2))

    assert first == again
    np.testing.assert_array_equal(first_map, again_map)


def test_a_part_of_the_pictures_is_learned_as_if_there_were_no_others(learner: PatchcoreLearner) -> None:
    image = made_pictures(1, 64, 96, seed=9)
    # the first batch is the same in both: another batch sums in another order, and near ties then fall otherwise
    alone = PatchcoreLearner(made_pictures(5, 64, 96)[:PICTURES_AT_ONCE].numpy(), LEARNED, 3, SilentProgress())

    of_part, of_all = (measured(each.learn(range(PICTURES_AT_ONCE)), image)[0] for each in (learner, alone))

    assert of_part == of_all


def test_a_learned_picture_scores_below_its_negative(learner: PatchcoreLearner) -> None:
    detector, own = learner.learn(range(5)), made_pictures(5, 64, 96)[:1]

    assert measured(detector, own)[0] < measured(detector, 255 - own)[0]
