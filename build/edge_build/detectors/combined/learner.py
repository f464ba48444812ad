"""Learning the combined detector: the cascade and the memory each, then how much good pictures say of them.

What weighs the two and scales the score is measured on good pictures that nothing was learned from, by detectors that
do not have them: the pictures are dealt to two folds, and each fold is seen without it among the references and in the
memory. It depends on what was learned from alone, not on what is known besides: detectors that differ in that alone
have one scale, and their scores can be compared.

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
MOST_REMEMBERED = 0.1  # of all patches: with more, what is rare in good pictures is remembered one by one
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
        """pictures: uint8 BGR (n, H, W, 3), prepared. cpr: of the cascade, and the backbone of both. Where its kind is
        auto, a background is looked for only if the view knows where the part is.

        The others as `CprLearner` takes them. Raises ConfigError for weights or textures that cannot be read.
        """
        self._pictures, self._progress = pictures, progress
        if cpr.kind == "auto" and part is None:
            # what it took for background has cost more than it brought (docs/decisions/0045)
            cpr = cpr.model_copy(update={"kind": "texture"})
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
        patches = len(pictures) * pictures.shape[1] * pictures.shape[2] // MEMORY_STRIDES[1] ** 2
        memory = PatchcoreSettings(
            backbone=cpr.backbone,
            backbone_weights=cpr.backbone_weights,
            stages=memory_stages(cpr.backbone),
            bank=BankSettings(entries=min(settings.entries, max(1, round(MOST_REMEMBERED * patches)))),
            neighbors=1,
        )
        self._memory = PatchcoreLearner(pictures, memory, seed, progress, PooledFeatures)
        self._settings = cpr
        self._last: tuple[tuple[tuple[int, ...], bool], tuple[tuple[float, float], AreaScore]] | None = None

    def learn(self, chosen: Sequence[int], known: Sequence[int] = ()) -> Combined:
        """The detector that learned from the chosen pictures, and compares with these and those known.

        Raises ConfigError when the recipe asks for a foreground that is not there.
        """
        rows = [*chosen, *known]
        cascade, memory = self._cascade.comparing(chosen, rows), self._memory.learn(rows)
        weighed_by = tuple(chosen), len(known) > 0
        if self._last is None or self._last[0] != weighed_by:
            self._last = weighed_by, self._weighed(chosen, len(known) > 0)
        return self._composed(cascade, memory, *self._last[1])

    def _composed(self, cascade: Cpr, memory: PatchCore, weights: tuple[float, float], score: AreaScore) -> Combined:
        taps = tuple(sorted({*cascade.backbone.taps, *memory.features.backbone.taps}))
        backbone = load_backbone(self._settings.backbone, taps, self._settings.backbone_weights)
        return Combined(backbone, cascade, memory, weights, score)

    def _weighed(self, chosen: Sequence[int], with_others: bool) -> tuple[tuple[float, float], AreaScore]:
        """The weights of both maps, and the score of their sum. with_others: by pictures that were not chosen, too."""
        others = [row for row in range(len(self._pictures)) if row not in chosen] if with_others else []
        rows, some = [*chosen, *others], rows_to_weigh_with(chosen, others)
        of_cascade, of_memory = [], []
        for fold in (some[number::FOLDS] for number in range(FOLDS)):
            without = [row for row in rows if row not in fold]
            cascade, memory = self._cascade.comparing(chosen, without), self._memory.learn(without)
            for row in self._progress.track("weights", fold):
                image = torch.from_numpy(self._pictures[row][None])
                with torch.inference_mode():
                    of_cascade.append(cascade(image)[1][0])
                    of_memory.append(memory(image)[1][0])
        weights = weights_of(torch.stack(of_cascade), torch.stack(of_memory))
        summed = torch.stack(of_cascade) * weights[0] + torch.stack(of_memory) * weights[1]
        self._progress.say(f"weights: cascade {weights[0]:.3g}, memory {weights[1]:.3g}")
        return weights, fit_area_score(summed)


def memory_stages(backbone: str) -> tuple[int, int]:
    """The stages of a backbone that the memory compares, fine and coarse."""
    fine, coarse = (stage_at(backbone, stride) for stride in MEMORY_STRIDES)
    return fine, coarse


def rows_to_weigh_with(chosen: Sequence[int], others: Sequence[int]) -> list[int]:
    """Good pictures that the cascade has not learned from, spread over all; where they are few, any.

    chosen: learned from, all but those that judge the training. others: good pictures besides.
    """
    some = sorted([*others, *(chosen[place] for place in pick_validation_rows(len(chosen)))])
    if len(some) < FEWEST_WEIGHED:
        some = sorted([*chosen, *others])
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
