"""The metrics agree with scikit-learn and with a brute-force AUPRO that takes thresholds one by one.

Tolerance 1e-9: all implementations compute in float64; what is left is the order of summation.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from edge_build.detection_metrics import AUPRO_LIMIT, measure

EXACT = 1e-9


def brute_force_regions(mask: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """8-connected regions by flood fill."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    regions = []
    while left:
        region, border = [], [left.pop()]
        while border:
            y, x = border.pop()
            region.append((y, x))
            around = {(y + dy, x + dx) for dy, dx in itertools.product((-1, 0, 1), repeat=2)} & left
            left -= around
            border += around
        regions.append(region)
    return regions


def brute_force_aupro(maps: NDArray[np.float32], masks: NDArray[np.bool_]) -> float:
    """MVTec's definition, literally: false-positive rate and mean overlap at every threshold, then the area."""
    regions = [(i, region) for i, mask in enumerate(masks) for region in brute_force_regions(mask)]
    points = [(0.0, 0.0)]
    for threshold in sorted({float(v) for v in maps.ravel()}, reverse=True):
        rate = float((maps[~masks] >= threshold).mean())
        overlaps = [sum(maps[i][p] >= threshold for p in region) / len(region) for i, region in regions]
        points.append((rate, sum(overlaps) / len(overlaps)))
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 >= AUPRO_LIMIT:
            break
        if x1 > AUPRO_LIMIT:
            x1, y1 = AUPRO_LIMIT, y0 + (y1 - y0) * (AUPRO_LIMIT - x0) / (x1 - x0)
        area += (x1 - x0) * (y0 + y1) / 2
    return area / AUPRO_LIMIT


def random_case(
    seed: int, levels: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float32], NDArray[np.bool_]]:
    """Six pictures of 7 x 9, the first two good, values on few `levels` so that ties abound."""
    rng = np.random.default_rng(seed)
    masks = rng.random((6, 7, 9)) < rng.choice([0.05, 0.3])
    masks[:2] = False
    masks[2:, 3, 4] = True
    maps = (rng.integers(0, levels, masks.shape) + masks * rng.integers(0, levels)).astype(np.float32) / 7
    defect = masks.any(axis=(1, 2))
    scores = rng.integers(0, 4, 6).astype(float)
    return scores, defect, maps, masks


@pytest.mark.parametrize("levels", [1, 2, 5, 1000])
@pytest.mark.parametrize("seed", range(12))
def test_pixel_metrics_equal_scikit_learn_and_brute_force_with_few_and_many_ties(seed: int, levels: int) -> None:
    scores, defect, maps, masks = random_case(seed, levels)

    metrics = measure(scores, defect, maps, list(masks))

    assert metrics.image_auroc == pytest.approx(roc_auc_score(defect, scores), abs=EXACT)
    assert metrics.pixel_auroc == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=EXACT)
    assert metrics.pixel_ap == pytest.approx(average_precision_score(masks.ravel(), maps.ravel()), abs=EXACT)
    assert metrics.aupro == pytest.approx(brute_force_aupro(maps, masks), abs=EXACT)
    assert metrics.regions == sum(len(brute_force_regions(mask)) for mask in masks)


def test_a_map_that_is_the_mask_scores_one_everywhere() -> None:
    _, defect, _, masks = random_case(0, 5)

    metrics = measure(defect.astype(float), defect, masks.astype(np.float32), list(masks))

    assert (metrics.image_auroc, metrics.pixel_auroc, metrics.pixel_ap) == (1.0, 1.0, 1.0)
    assert metrics.aupro == pytest.approx(1.0, abs=EXACT)


def test_maps_that_are_equal_everywhere_are_worth_a_coin_toss() -> None:
    scores, defect, maps, masks = random_case(1, 5)

    metrics = measure(np.zeros_like(scores), defect, np.full_like(maps, 3.0), list(masks))

    assert metrics.image_auroc == 0.5
    assert metrics.pixel_auroc == 0.5
    assert metrics.pixel_ap == pytest.approx(masks.mean(), abs=EXACT)
    assert metrics.aupro == pytest.approx(AUPRO_LIMIT / 2, abs=EXACT)  # the diagonal, from 0 to the limit


def test_pixels_that_touch_at_a_corner_are_one_region() -> None:
    mask = np.zeros((1, 4, 4), bool)
    mask[0, 0, 0] = mask[0, 1, 1] = mask[0, 3, 3] = True
    maps = mask.astype(np.float32)

    metrics = measure(np.ones(1), np.array([True]), maps, list(mask))

    assert metrics.regions == 2


def test_a_small_region_weighs_as_much_as_a_large_one() -> None:
    mask = np.zeros((1, 10, 10), bool)
    mask[0, :5, :8] = True  # found
    mask[0, 9, 9] = True  # below everything else
    maps = mask.astype(np.float32)
    maps[0, 9, 9] = -1.0

    metrics = measure(np.ones(1), np.array([True]), maps, list(mask))

    # Half of the regions from the start; the other one comes after all good pixels, beyond the limit.
    assert metrics.aupro == pytest.approx(0.5, abs=EXACT)


def test_a_false_positive_rate_exactly_at_the_limit_is_not_interpolated_further() -> None:
    mask = np.zeros((1, 1, 12), bool)
    mask[0, 0, :2] = True
    maps = np.array([[[9, 1, 5, 5, 5, 0, 0, 0, 0, 0, 0, 0]]], np.float32)  # 3 of 10 good pixels above the second

    metrics = measure(np.ones(1), np.array([True]), maps, list(mask))

    assert metrics.aupro == pytest.approx(0.5, abs=EXACT)


def test_a_defect_picture_without_a_mask_counts_for_the_image_auroc_only() -> None:
    scores, defect, maps, masks = random_case(3, 5)
    some: list[NDArray[np.bool_] | None] = list(masks)
    some[4] = None
    some[5] = np.zeros_like(masks[5])

    metrics = measure(scores, defect, maps, some)

    assert metrics.image_auroc == pytest.approx(roc_auc_score(defect, scores), abs=EXACT)
    assert metrics.pixel_auroc == pytest.approx(roc_auc_score(masks[:4].ravel(), maps[:4].ravel()), abs=EXACT)
    assert (metrics.defect, metrics.masked) == (4, 2)


def test_a_good_picture_needs_no_mask() -> None:
    scores, defect, maps, masks = random_case(3, 5)

    assert measure(scores, defect, maps, [None, None, *masks[2:]]) == measure(scores, defect, maps, list(masks))


def test_without_defect_pictures_nothing_is_defined() -> None:
    metrics = measure(np.ones(2), np.zeros(2, bool), np.ones((2, 3, 3), np.float32), [None, None])

    assert (metrics.image_auroc, metrics.pixel_auroc, metrics.pixel_ap, metrics.aupro) == (None,) * 4
    assert (metrics.good, metrics.defect) == (2, 0)


def test_without_good_pictures_the_pixel_metrics_are_still_defined() -> None:
    scores, defect, maps, masks = random_case(4, 5)

    metrics = measure(scores[2:], defect[2:], maps[2:], list(masks[2:]))

    assert metrics.image_auroc is None
    assert metrics.aupro == pytest.approx(brute_force_aupro(maps[2:], masks[2:]), abs=EXACT)


def test_masks_without_any_good_pixel_leave_the_pixel_metrics_undefined() -> None:
    metrics = measure(np.ones(1), np.ones(1, bool), np.ones((1, 3, 3), np.float32), [np.ones((3, 3), bool)])

    assert metrics.pixel_auroc is None


def test_no_pictures_at_all_give_no_figures() -> None:
    metrics = measure(np.ones(0), np.ones(0, bool), np.ones((0, 3, 3), np.float32), [])

    assert metrics.image_auroc is None


def test_the_maps_are_left_as_they_were() -> None:
    scores, defect, maps, masks = random_case(5, 50)
    before = maps.copy(), scores.copy()

    measure(scores, defect, maps, list(masks))

    assert np.array_equal(maps, before[0])
    assert np.array_equal(scores, before[1])


def test_a_map_with_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        measure(np.ones(1), np.ones(1, bool), np.full((1, 2, 2), np.nan, np.float32), [np.ones((2, 2), bool)])


def test_a_mask_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(ValueError, match=r"mask 0 has shape \(3, 2\), the maps have \(2, 2\)"):
        measure(np.ones(1), np.ones(1, bool), np.ones((1, 2, 2), np.float32), [np.ones((3, 2), bool)])


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2 scores, 1 labels"):
        measure(np.ones(2), np.ones(1, bool), np.ones((1, 2, 2), np.float32), [None])
