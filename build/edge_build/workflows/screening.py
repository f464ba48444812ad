"""The good pictures are screened before anything is learned: what is suspicious is named, and left out if asked for.

dataset, suspects = screened(dataset, prepared.all(), exclude=False, seed=0, progress=progress)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_build.acceptance.judgement import Judgement
from edge_build.data.dataset import Dataset
from edge_build.data.pictures import Picture, problem_lines
from edge_build.data.splits import Splits
from edge_build.progress import Progress
from edge_build.screening.suspects import Suspect, find_suspects
from edge_calibration.threshold import threshold_from_good
from edge_runtime.records import Precision


def screened(
    dataset: Dataset, images: NDArray[np.uint8], exclude: bool, seed: int, progress: Progress
) -> tuple[Dataset, tuple[Suspect, ...]]:
    """Name the suspicious good pictures in the dataset's notes and to the user. exclude: leave them out, too.

    images: the good pictures at the model's size, uint8 BGR (n, H, W, 3).
    """
    found = find_suspects(images, seed, progress)
    suspects = tuple(
        Suspect(dataset.good[row], images[row].copy(), float(found.scores[row]), strange, exclude)
        for row, strange in zip(found.rows, found.maps, strict=True)
    )
    if not suspects:
        return dataset, ()
    note = _note(suspects, len(dataset.good), exclude)
    progress.say(note)
    left_out = {suspect.picture for suspect in suspects} if exclude else set()
    good = tuple(picture for picture in dataset.good if picture not in left_out)
    return replace(dataset, good=good, notes=(*dataset.notes, note)), suspects


def threshold_without_suspects(judgement: Judgement, splits: Splits, suspects: Sequence[Suspect]) -> str | None:
    """What the threshold of FP32 would be without the suspicious pictures, in words; None without any in the build."""
    strange = {suspect.picture for suspect in suspects if not suspect.left_out}
    if not strange:
        return None
    held_out, threshold = judgement.held_out[Precision.FP32], judgement.thresholds[Precision.FP32]
    kept = np.array([picture not in strange for picture in _scored(splits)])
    if kept.all() or not kept.any():
        return "none of the suspicious pictures has a say in the threshold"
    without = threshold_from_good(
        held_out.scores[kept], held_out.maxima[kept], threshold.false_reject_rate, threshold.method
    )
    return (
        f"without the {int((~kept).sum())} suspicious pictures among those that set it, the threshold would be "
        f"{without.score:.4g}, not {threshold.score:.4g}"
    )


def _scored(splits: Splits) -> list[Picture]:
    """The held-out pictures in the order of their scores."""
    return [picture for fold in splits.folds for picture in fold]


def _note(suspects: Sequence[Suspect], count: int, exclude: bool) -> str:
    names = problem_lines([f"{suspect.picture.path}: {suspect.deviation:.1f} spreads" for suspect in suspects])
    if exclude:
        return f"left out {len(suspects)} of {count} good pictures that do not look like the others:\n{names}"
    return (
        f"warning: {len(suspects)} of {count} good pictures do not look like the others, and are learned as good all "
        "the same. Look at them in the report; take away what is no good part, or build with --exclude-suspects:\n"
        f"{names}"
    )
