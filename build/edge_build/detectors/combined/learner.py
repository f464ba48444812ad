"""Learning the combined detector: the cascade and the memory each, then how much good pictures say of them.

What weighs the two and scales the score is measured on good pictures that nothing was learned from (those that only
judge the training, and those known besides), by detectors that do not have them: the pictures are dealt to two folds,
and each fold is seen without it among the references and in the memory.

    learner = CombinedLearner(pictures, settings, cpr_settings, seed, progress)
    detector = learner.learn(range(len(pictures)))
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_build.checkpoint import Unfinished
from edge_build.detectors.backbones.backbone import load_backbone, stage_at
from edge_build.detectors.combined.model import Combined, PooledFeatures
from edge_build.detectors.combined.scoring import AreaScore, fit_area_score
from edge_build.detectors.cpr.learner import CprLearner
from edge_build.detectors.cpr.model import DIMENSIONS, Cpr, score_of
from edge_build.detectors.cpr.validation import pick_validation_rows
from edge_build.detectors.defects.real import RealDefects
from edge_build.detectors.patchcore.learner import PatchcoreLearner
from edge_build.detectors.patchcore.model import PatchCore
from edge_build.progress import Progress
from edge_build.recipe.detector_settings import BankSettings, CombinedSettings, CprSettings, PatchcoreSettings

MEMORY_STRIDES = (8, 16)
FOLDS = 2
FEWEST_WEIGHED, MOST_WEIGHED = 8, 80  # good pictures that weights and score are fitted to
LEAST_SPREAD = 0.01  # of the scores of good pictures, as a share of their mean: with less, they are copies


class CombinedLearner:
    """Holds what both detectors hold of the good pictures."""

    compares = True

    def __init__(
        self,
        pictures: NDArray[np.uint8],
        settings: CombinedSettings,
        cpr: CprSettings,
        seed: int,
        progress: Progress,
        *,
        work: Unfinished | None = None,
        thorough: bool = False,
        defects: RealDefects | None = None,
        part: NDArray[np.float32] | None = None,
    ) -> None:
        """pictures: uint8 BGR (n, H, W, 3), prepared. cpr: of the cascade, and the backbone of both.

        The others as `CprLearner` takes them. Raises ConfigError for weights or textures that cannot be read.
        """
        self._pictures, self._progress = pictures, progress
        self._cascade = CprLearner(
            pictures,
            cpr,
            DIMENSIONS["cpr-faster"],
            seed,
            progress,
            work=work,
            thorough=thorough,
            defects=defects,
            part=part,
        )
        fine, coarse = (stage_at(cpr.backbone, stride) for stride in MEMORY_STRIDES)
        memory = PatchcoreSettings(
            backbone=cpr.backbone,
            backbone_weights=cpr.backbone_weights,
            stages=(fine, coarse),
            bank=BankSettings(entries=settings.entries),
            neighbors=1,
        )
        self._memory = PatchcoreLearner(pictures, memory, seed, progress, PooledFeatures)
        self._settings = cpr

    def learn(self, chosen: Sequence[int], known: Sequence[int] = ()) -> Combined:
        """The detector that learned from the chosen pictures, and compares with these and those known.

        Raises ConfigError when the recipe asks for a foreground that is not there.
        """
        rows = [*chosen, *known]
        cascade, memory = self._cascade.comparing(chosen, rows), self._memory.learn(rows)
        return self._composed(cascade, memory, *self._weighed(chosen, known))

    def _composed(self, cascade: Cpr, memory: PatchCore, weights: tuple[float, float], score: AreaScore) -> Combined:
        taps = tuple(sorted({*cascade.backbone.taps, *memory.features.backbone.taps}))
        backbone = load_backbone(self._settings.backbone, taps, self._settings.backbone_weights)
        return Combined(backbone, cascade, memory, weights, score)

    def _weighed(self, chosen: Sequence[int], known: Sequence[int]) -> tuple[tuple[float, float], AreaScore]:
        """The weights of both maps, and the score of their sum."""
        rows, some = [*chosen, *known], rows_to_weigh_with(chosen, known)
        of_cascade, of_memory = [], []
        for fold in (some[number::FOLDS] for number in range(FOLDS)):
            others = [row for row in rows if row not in fold]
            cascade, memory = self._cascade.comparing(chosen, others), self._memory.learn(others)
            for row in self._progress.track("weights", fold):
                image = torch.from_numpy(self._pictures[row][None])
                with torch.inference_mode():
                    of_cascade.append(cascade(image)[1][0])
                    of_memory.append(memory(image)[1][0])
        weights = weights_of(torch.stack(of_cascade), torch.stack(of_memory))
        summed = torch.stack(of_cascade) * weights[0] + torch.stack(of_memory) * weights[1]
        self._progress.say(f"weights: cascade {weights[0]:.3g}, memory {weights[1]:.3g}")
        return weights, fit_area_score(summed)


def rows_to_weigh_with(chosen: Sequence[int], known: Sequence[int]) -> list[int]:
    """Good pictures that the cascade has not learned from, spread over all; where they are few, any.

    chosen: learned from, all but those that judge the training. known: compared with besides.
    """
    some = sorted([*known, *(chosen[place] for place in pick_validation_rows(len(chosen)))])
    if len(some) < FEWEST_WEIGHED:
        some = sorted([*chosen, *known])
    return [some[place] for place in np.unique(np.linspace(0, len(some) - 1, MOST_WEIGHED).round().astype(int))]


def weights_of(cascade: Tensor, memory: Tensor) -> tuple[float, float]:
    """What the maps (n, H, W) of both on good pictures are multiplied by.

    Each by one over the standard deviation of its scores, so that both vary alike from one good picture to the next;
    then both such that the median score of the sum is 1.
    """
    spreads = []
    for maps in (cascade, memory):
        scores = torch.cat([score_of(m) for m in maps])
        spreads.append(float(scores.std(correction=0).clamp(min=LEAST_SPREAD * float(scores.mean()))))
    if not all(spreads):
        return 1.0, 1.0
    summed = cascade / spreads[0] + memory / spreads[1]
    usual = float(torch.cat([score_of(m) for m in summed]).median())
    return 1 / spreads[0] / usual, 1 / spreads[1] / usual
