"""The detector against the paper's formulas, written down naively."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from tests.support.made_network import made_backbone, made_pictures
from tests.support.naive_patchcore import flat, measured, naive_features, naive_map, naive_scores
from torch import Tensor
from torch.nn import functional as F

from edge_build.detectors.patchcore.learner import fit_projection
from edge_build.detectors.patchcore.model import PatchCore, PatchFeatures, Projection, bank_neighbors, smooth_upsampling

# |p|^2 + |m|^2 - 2 p.m in float32 on features of length about 20: 1e-4 of the distance where it is not near zero
CLOSE = {"rtol": 1e-3, "atol": 1e-3}


def detector_for(
    size: tuple[int, int],
    neighbors: int = 9,
    entries: int = 60,
    dimensions: int | None = None,
    score_from_map: bool = False,
) -> tuple[PatchCore, Tensor, Projection]:
    """A detector whose bank is every so-manieth patch of three pictures, those patches, and its projection."""
    patches = flat(naive_features(made_pictures(3, *size)))
    projection = fit_projection(patches, None, dimensions)
    bank = projection(patches)[:: -(-len(patches) // entries)].contiguous()
    features, plain = PatchFeatures(made_backbone()), torch.ones(len(bank))
    detector = PatchCore(features, projection, bank, plain, size, neighbors, score_from_map)
    return detector, bank, projection


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


def test_an_adapted_detector_scales_distances_by_entry_and_scores_its_smooth_map() -> None:
    patches = flat(naive_features(made_pictures(3, 64, 96)))
    projection = fit_projection(patches, 40, None)
    bank = projection(patches)[::5].contiguous()
    scales = torch.linspace(0.5, 2, len(bank))
    detector = PatchCore(PatchFeatures(made_backbone()), projection, bank, scales, (64, 96), 9, score_from_map=True)
    image = made_pictures(1, 64, 96, seed=9)

    score, anomaly_map = measured(detector, image)

    weighted, distances = naive_scores(projection(flat(naive_features(image))), bank, 9, scales)
    expected_map = naive_map(distances, (8, 12), (64, 96))
    np.testing.assert_allclose(anomaly_map, expected_map, **CLOSE)
    assert score == pytest.approx(expected_map.max() * weighted / float(distances.max()), rel=1e-3)


@pytest.mark.parametrize("neighbors", [1, 9])
def test_a_score_from_the_map_is_its_maximum_with_the_same_weight(neighbors: int) -> None:
    detector, bank, projection = detector_for((64, 64), neighbors, score_from_map=True)
    image = made_pictures(1, seed=9)

    score, anomaly_map = measured(detector, image)

    expected, distances = naive_scores(projection(flat(naive_features(image))), bank, neighbors)
    weight = expected / float(distances.max())
    assert score == pytest.approx(weight * naive_map(distances, (8, 8), (64, 64)).max(), rel=1e-3)
    assert score == pytest.approx(weight * anomaly_map.max(), rel=1e-3)


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
    detector, bank, _ = detector_for((64, 64), entries=3 * 64)
    length = float(bank.norm(dim=1).max())

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
