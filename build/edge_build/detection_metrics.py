"""How well a detector separates: image AUROC, pixel AUROC, pixel AP and AUPRO, exact over all distinct values.

Definitions: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, with the false-positive-rate limit of
0.3 and 8-connected ground-truth regions; AUROC and AP as scikit-learn defines them. A tie between two pixels counts
as one threshold, never as two.

Pixels without defect outnumber the others by far. They are sorted once, every pixel of a defect is looked up in them,
and all three pixel metrics follow from these counts. Beyond the maps, memory is one copy of their good pixels.

    metrics = measure(scores, defect, maps, masks)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

AUPRO_LIMIT = 0.3


@dataclass(frozen=True)
class Metrics:
    """What the pictures can tell; None where they cannot (one class only, or no masks).

    `masked` defect pictures have a mask with `regions` in it; only they and the good pictures enter the pixel metrics.
    """

    image_auroc: float | None
    pixel_auroc: float | None
    pixel_ap: float | None
    aupro: float | None
    good: int
    defect: int
    masked: int
    regions: int


@dataclass(frozen=True)
class _Counts:
    """For every distinct value among defect pixels, from high to low: what a threshold there lets through."""

    positives: NDArray[np.int64]  # defect pixels at or above the value
    overlap: NDArray[np.float64]  # mean share of a region at or above the value
    negatives_above: NDArray[np.int64]  # good pixels above the value
    negatives: NDArray[np.int64]  # good pixels at or above the value
    all_negatives: int


def measure(
    scores: NDArray[np.floating],
    defect: NDArray[np.bool_],
    maps: NDArray[np.floating],
    masks: Sequence[NDArray[np.bool_] | None],
) -> Metrics:
    """Measure a detector on labelled pictures.

    scores: (pictures,). defect: (pictures,), true where the picture shows a defect. maps: (pictures, height, width).
    masks: for every picture, true on its defects (height, width), or None when there is no mask.

    Every pixel of a good picture is good; its mask is not looked at. A defect picture without a mask, or with an empty
    one, counts for the image AUROC only: which of its pixels are good is unknown, so none of them is counted.
    Raises ValueError when lengths or shapes differ, or when a score or map is not finite.
    """
    _check(scores, defect, maps, masks)
    labelled = {i: mask for i, mask in enumerate(masks) if defect[i] and mask is not None and mask.any()}
    weights = {i: _region_weights(mask) for i, mask in labelled.items()}
    regions = sum(count for _, count in weights.values())
    pixels: tuple[float | None, float | None, float | None] = (None, None, None)
    if labelled:
        positives = np.concatenate([maps[i][mask] for i, mask in labelled.items()])
        overlap = np.concatenate([weights[i][0][mask] for i, mask in labelled.items()]) / regions
        good = [maps[i].ravel() for i in np.flatnonzero(~defect)]
        negatives = np.concatenate([*good, *(maps[i][~mask] for i, mask in labelled.items())])
        if negatives.size:
            counts = _count(positives, overlap, negatives)
            pixels = _auroc(counts), _average_precision(counts), _aupro(counts)
    return Metrics(
        image_auroc=auroc(scores[defect], scores[~defect]),
        pixel_auroc=pixels[0],
        pixel_ap=pixels[1],
        aupro=pixels[2],
        good=int((~defect).sum()),
        defect=int(defect.sum()),
        masked=len(labelled),
        regions=regions,
    )


def auroc(positives: NDArray[np.floating], negatives: NDArray[np.floating]) -> float | None:
    """The chance that a positive is above a negative, a tie counting half (Mann-Whitney). None without one of them."""
    if not positives.size or not negatives.size:
        return None
    return _auroc(_count(positives, np.zeros(positives.size), np.array(negatives)))


def _check(
    scores: NDArray[np.floating],
    defect: NDArray[np.bool_],
    maps: NDArray[np.floating],
    masks: Sequence[NDArray[np.bool_] | None],
) -> None:
    count = len(scores)
    if maps.ndim != 3 or not count == len(defect) == len(maps) == len(masks):
        raise ValueError(
            f"expected one score, label, map and mask (or None) a picture, got {count} scores, {len(defect)} labels, "
            f"maps {maps.shape} and {len(masks)} masks"
        )
    for index, mask in enumerate(masks):
        if mask is not None and mask.shape != maps.shape[1:]:
            raise ValueError(f"mask {index} has shape {mask.shape}, the maps have {maps.shape[1:]}")
    if not np.isfinite(scores).all() or not all(np.isfinite(one).all() for one in maps):
        raise ValueError("a score or a map is NaN or infinite: there is no order to measure")


def _region_weights(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
    """Every pixel's share of its own 8-connected region (height, width), and how many regions there are."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    areas = np.bincount(labels.ravel(), minlength=count)
    return 1.0 / areas[labels], count - 1


def _count(positives: NDArray[np.floating], overlap: NDArray[np.float64], negatives: NDArray[np.floating]) -> _Counts:
    """Count what lies above every distinct positive value. Sorts `negatives` in place."""
    negatives.sort()
    order = np.argsort(positives)[::-1]
    values = positives[order]
    last_of_tie = np.append(np.flatnonzero(values[1:] != values[:-1]), values.size - 1)
    distinct = values[last_of_tie]
    return _Counts(
        positives=last_of_tie.astype(np.int64) + 1,
        overlap=np.cumsum(overlap[order])[last_of_tie],
        negatives_above=negatives.size - np.searchsorted(negatives, distinct, side="right").astype(np.int64),
        negatives=negatives.size - np.searchsorted(negatives, distinct, side="left").astype(np.int64),
        all_negatives=negatives.size,
    )


def _auroc(counts: _Counts) -> float:
    ties = np.diff(counts.positives, prepend=0)
    wrong = float((ties * (counts.negatives_above + counts.negatives)).sum()) / 2
    return 1.0 - wrong / (float(counts.positives[-1]) * counts.all_negatives)


def _average_precision(counts: _Counts) -> float:
    """The sum of precision times gain in recall; recall gains only at values of positives, so these are enough."""
    precision = counts.positives / (counts.positives + counts.negatives)
    return float((np.diff(counts.positives, prepend=0) * precision).sum() / counts.positives[-1])


def _aupro(counts: _Counts) -> float:
    """The area under mean region overlap over false-positive rate, up to the limit, divided by the limit.

    The curve joins the points of all distinct values by straight lines. Between two values of defect pixels it is flat,
    so that the point just before a value and the point at it describe all of it.
    """
    before = np.concatenate([[0.0], counts.overlap[:-1]])
    rate = np.stack([counts.negatives_above, counts.negatives], axis=1).ravel() / counts.all_negatives
    overlap = np.stack([before, counts.overlap], axis=1).ravel()
    rate, overlap = np.concatenate([[0.0], rate, [1.0]]), np.concatenate([[0.0], overlap, overlap[-1:]])
    end = int(np.searchsorted(rate, AUPRO_LIMIT, side="right"))  # the first point beyond the limit
    share = (AUPRO_LIMIT - rate[end - 1]) / (rate[end] - rate[end - 1])
    at_limit = overlap[end - 1] + share * (overlap[end] - overlap[end - 1])
    rate, overlap = np.append(rate[:end], AUPRO_LIMIT), np.append(overlap[:end], at_limit)
    area = float((np.diff(rate) * (overlap[1:] + overlap[:-1])).sum() / 2)
    return min(area / AUPRO_LIMIT, 1.0)  # rounding of the cumulative sum may exceed 1 by an ulp
