"""The detector against the paper's formulas, written down naively in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_network import made_backbone, made_pictures
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from edge_build.patchcore import PatchCore, PatchFeatures, Projection, bank_neighbors, smooth_upsampling
from edge_build.patchcore_training import PatchcoreLearner, fit_projection
from edge_build.progress import SilentProgress
from edge_build.recipe import BankSettings, PatchcoreSettings
from edge_runtime.errors import ConfigError

# |p|^2 + |m|^2 - 2 p.m in float32 on features of length about 20: 1e-4 of the distance where it is not near zero
CLOSE = {"rtol": 1e-3, "atol": 1e-3}


def naive_features(images: Tensor, taps: tuple[int, int] = (3, 5)) -> Tensor:
    """(n, d, h, w): the mean over the neighbours that exist, the coarse map resized, both side by side."""
    pooled = []
    for m in made_backbone(taps)(images):
        n, channels, height, width = m.shape
        total = F.unfold(m, 3, padding=1).view(n, channels, 9, height, width).sum(2)
        neighbours = F.unfold(torch.ones(1, 1, height, width), 3, padding=1).view(1, 1, 9, height, width).sum(2)
        pooled.append(total / neighbours)
    fine, coarse = pooled
    return torch.cat([fine, F.interpolate(coarse, fine.shape[2:], mode="bilinear", align_corners=False)], 1)


def naive_scores(patches: Tensor, bank: Tensor, neighbors: int) -> tuple[float, Tensor]:
    """The picture's score (equations 6 and 7) and each patch's distance, from (patches, d) and (m, d)."""
    table = torch.cdist(patches.double(), bank.double(), compute_mode="donot_use_mm_for_euclid_dist")
    distances, matches = table.min(1)
    worst = int(distances.argmax())
    star = float(distances[worst])
    if neighbors == 1:
        return star, distances
    around = (bank - bank[matches[worst]]).double().norm(dim=1).argsort(stable=True)[:neighbors]
    weight = 1 - torch.exp(table[worst, matches[worst]]) / torch.exp(table[worst, around]).sum()
    return float(weight) * star, distances


def naive_map(distances: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    """Resized bilinearly, then blurred with sigma 4."""
    large = F.interpolate(distances.view(1, 1, *grid), size, mode="bilinear", align_corners=False)[0, 0]
    return np.asarray(gaussian_filter(large.numpy(), 4.0, mode="mirror", truncate=4.0))


def flat(features: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def detector_for(
    size: tuple[int, int], neighbors: int = 9, entries: int = 60, dimensions: int | None = None
) -> tuple[PatchCore, Tensor, Projection]:
    """A detector whose bank is every so-manieth patch of three pictures, those patches, and its projection."""
    patches = flat(naive_features(made_pictures(3, *size)))
    projection = fit_projection(patches, dimensions)
    bank = projection(patches)[:: -(-len(patches) // entries)].contiguous()
    return PatchCore(PatchFeatures(made_backbone()), projection, bank, size, neighbors), bank, projection


def measured(detector: PatchCore, image: Tensor) -> tuple[float, NDArray[np.float32]]:
    with torch.inference_mode():
        score, anomaly_map = detector(image)
    assert (score.shape, score.dtype, anomaly_map.dtype) == ((1,), torch.float32, torch.float32)
    return float(score), anomaly_map[0].numpy()


@pytest.mark.parametrize("taps", [(3, 5), (2, 3), (4, 5)], ids=str)
def test_features_are_means_of_neighbours_at_the_finer_stage(taps: tuple[int, int]) -> None:
    images = made_pictures(2, 64, 96)

    with torch.inference_mode():
        found = PatchFeatures(made_backbone(taps))(images)

    torch.testing.assert_close(found, naive_features(images, taps), rtol=1e-4, atol=1e-4)  # sums in another order


@pytest.mark.parametrize("size", [(64, 64), (64, 128), (160, 96)], ids=str)
@pytest.mark.parametrize("neighbors", [1, 2, 9])
def test_score_and_map_are_those_of_the_paper(size: tuple[int, int], neighbors: int) -> None:
    detector, bank, projection = detector_for(size, neighbors)
    for image in made_pictures(3, *size, seed=9).split(1):
        score, anomaly_map = measured(detector, image)

        expected, distances = naive_scores(projection(flat(naive_features(image))), bank, neighbors)
        assert anomaly_map.shape == size
        assert score == pytest.approx(expected, rel=1e-3)
        np.testing.assert_allclose(anomaly_map, naive_map(distances, (size[0] // 8, size[1] // 8), size), **CLOSE)


@pytest.mark.parametrize("entries", [1, 4])
def test_a_bank_smaller_than_the_neighbours_is_weighted_by_all_it_has(entries: int) -> None:
    detector, bank, projection = detector_for((64, 64), neighbors=9, entries=entries)
    image = made_pictures(1, seed=9)

    score, _ = measured(detector, image)

    expected, _ = naive_scores(projection(flat(naive_features(image))), bank, len(bank))
    assert len(bank) == detector.neighbors == entries
    assert score == pytest.approx(expected, rel=1e-3)


def test_fewer_dimensions_are_distances_between_projections() -> None:
    detector, bank, projection = detector_for((64, 64), dimensions=20)
    image = made_pictures(1, seed=9)

    score, anomaly_map = measured(detector, image)

    expected, distances = naive_scores(projection(flat(naive_features(image))), bank, 9)
    assert bank.shape[1] == 20
    assert score == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(anomaly_map, naive_map(distances, (8, 8), (64, 64)), **CLOSE)


def test_a_picture_that_the_bank_holds_in_full_scores_near_zero_and_another_does_not() -> None:
    detector, _, _ = detector_for((64, 64), entries=3 * 64)
    length = float(detector.lengths.max().sqrt())

    own, own_map = measured(detector, made_pictures(3)[1:2])
    other, other_map = measured(detector, made_pictures(1, seed=9))

    # a squared distance of zero is uncertain by about 1e-6 of the squared lengths: its root by 1e-3 of the length
    assert own <= 2e-3 * length
    assert own_map.max() <= 2e-3 * length
    assert other > 20 * own
    assert other_map.max() > 20 * own_map.max()


def test_bank_neighbours_are_the_nearest_by_brute_force_and_begin_with_the_entry_itself() -> None:
    bank = torch.randn(1500, 8, generator=torch.Generator().manual_seed(0))

    found = bank_neighbors(bank, 9)

    table = torch.cdist(bank.double(), bank.double(), compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.equal(found, table.argsort(dim=1, stable=True)[:, :9])


def test_an_entry_comes_first_even_among_its_copies() -> None:
    bank = 50 + torch.randn(40, 152, generator=torch.Generator().manual_seed(0)).repeat(3, 1)

    assert bank_neighbors(bank, 9)[:, 0].tolist() == list(range(120))


@pytest.mark.parametrize(("cells", "pixels"), [(8, 64), (10, 320), (3, 12), (16, 64)])
def test_the_upsampling_matrix_is_a_bilinear_resize_and_a_mirrored_gaussian(cells: int, pixels: int) -> None:
    row = torch.randn(cells, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    found = smooth_upsampling(cells, pixels).double() @ row

    resized = F.interpolate(row.view(1, 1, -1), pixels, mode="linear", align_corners=False)[0, 0]
    reach = min(16, pixels - 1)  # on a map narrower than the kernel the kernel is cut
    expected = gaussian_filter(resized.numpy(), 4.0, mode="mirror", radius=reach)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-5)  # float32 weights that sum to one


def test_all_dimensions_are_kept_centred_when_none_is_asked_for() -> None:
    patches = 5 + torch.randn(200, 12, generator=torch.Generator().manual_seed(0))

    projection = fit_projection(patches, None)

    assert projection.axes is None
    torch.testing.assert_close(projection(patches).mean(0), torch.zeros(12), rtol=0, atol=1e-5)


def test_a_number_of_dimensions_keeps_the_axes_of_most_variance() -> None:
    random = torch.Generator().manual_seed(0)
    spread = torch.tensor([9.0, 5, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    turn = torch.linalg.qr(torch.randn(12, 12, generator=random)).Q
    patches = 7 + (spread * torch.randn(5000, 12, generator=random)) @ turn.T

    reduced = fit_projection(patches, 8)(patches)

    assert reduced.shape == (5000, 8)
    assert reduced.std(0)[:3].tolist() == pytest.approx([9, 5, 3], rel=0.05)  # of 5000 samples: 1 % each
    covariance = torch.cov(reduced.T)
    assert float((covariance - covariance.diag().diag()).abs().max()) < 1e-2  # uncorrelated, but for float32


@pytest.mark.parametrize(("share", "kept"), [(0.5, 1), (0.8, 2), (0.93, 3), (0.999999, 10)])
def test_a_share_keeps_the_fewest_dimensions_that_hold_it(share: float, kept: int) -> None:
    spread = torch.tensor([9.0, 5, 3, 1, 1, 1, 1, 1, 1, 1])  # variances 81, 25, 9 and seven times 1: of 122
    patches = spread * torch.randn(5000, 10, generator=torch.Generator().manual_seed(0))

    assert fit_projection(patches, share)(patches).shape == (5000, kept)


def test_more_dimensions_than_there_are_is_a_wrong_recipe() -> None:
    with pytest.raises(
        ConfigError, match=r"patchcore\.dimensions is 13, but these stages have 12: ask for at most that"
    ):
        fit_projection(torch.zeros(20, 12), 13)


LEARNED = PatchcoreSettings(bank=BankSettings(ratio=0.25), dimensions=16)


@pytest.fixture(scope="module")
def learner() -> PatchcoreLearner:
    """With the published weights."""
    return PatchcoreLearner(made_pictures(5, 64, 96).numpy(), LEARNED, 3, SilentProgress())


def test_a_learned_bank_has_the_share_and_dimensions_of_the_recipe(learner: PatchcoreLearner) -> None:
    detector = learner.learn(range(5))

    assert detector.bank.shape == (5 * 96 // 4, 16)
    assert not detector.training


def test_the_same_pictures_and_seed_give_the_same_scores(learner: PatchcoreLearner) -> None:
    image = made_pictures(1, 64, 96, seed=9)

    (first, first_map), (again, again_map) = (measured(learner.learn([0, 2, 3]), image) for _ in range(2))

    assert first == again
    np.testing.assert_array_equal(first_map, again_map)


def test_a_part_of_the_pictures_is_learned_as_if_there_were_no_others(learner: PatchcoreLearner) -> None:
    image = made_pictures(1, 64, 96, seed=9)
    alone = PatchcoreLearner(made_pictures(5, 64, 96)[[1, 4]].numpy(), LEARNED, 3, SilentProgress())

    of_part, of_all = measured(learner.learn([1, 4]), image)[0], measured(alone.learn([0, 1]), image)[0]

    assert of_part == pytest.approx(of_all, rel=1e-3)  # batches of another size sum in another order


def test_a_learned_picture_scores_below_its_negative(learner: PatchcoreLearner) -> None:
    detector, own = learner.learn(range(5)), made_pictures(5, 64, 96)[:1]

    assert measured(detector, own)[0] < measured(detector, 255 - own)[0]
