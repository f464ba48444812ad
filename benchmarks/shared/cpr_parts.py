"""CPR's parts, put together by hand: what benchmarks vary that a recipe cannot. The steps are those of `CprLearner`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_build.data.dataset import Dataset, scan_dataset
from edge_build.data.pictures import load_prepared
from edge_build.detectors.backbones.backbone import Backbone, load_backbone
from edge_build.detectors.cpr.feature_maps import Maps, described, extract_maps
from edge_build.detectors.cpr.foreground import Foreground, find_foreground
from edge_build.detectors.cpr.learner import COARSER_SPREAD, fit_codebook, retrieval_of, taps_of
from edge_build.detectors.cpr.local_branch import LocalBranch
from edge_build.detectors.cpr.matching import FINE_REACH, Direction, Match, bank_of
from edge_build.detectors.cpr.model import DIMENSIONS, STRIDES, Cpr
from edge_build.detectors.cpr.retrieval import GlobalBranch
from edge_build.detectors.cpr.scratch_arrays import ScratchArrays
from edge_build.detectors.cpr.training import ROUNDS, Schedule, train
from edge_build.detectors.cpr.training_pictures import PictureMaker, References
from edge_build.detectors.cpr.training_set import TrainingSet
from edge_build.detectors.cpr.training_state import Branches, TrainingState, new_state
from edge_build.detectors.cpr.validation import pick_validation_rows, validation_precision
from edge_build.detectors.defects.textures import load_textures
from edge_build.progress import Progress
from edge_build.recipe.detector_settings import CprSettings
from edge_runtime.imaging.see import whole_frame_viewer

D = DIMENSIONS["cpr-faster"]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class CprParts:
    """A category, and what does not depend on what is varied."""

    dataset: Dataset
    pictures: NDArray[np.uint8]
    textures: Sequence[NDArray[np.uint8]]
    backbone: Backbone
    maps: Maps
    coarser: tuple[Tensor, ...]  # float16 directions, one tensor for each further tap
    foreground: Foreground
    codebook: Tensor
    train_rows: tuple[int, ...]
    validation_rows: tuple[int, ...]
    progress: Progress


def load_parts(category: Path, size: int, textures: Path | None, most: int, progress: Progress) -> CprParts:
    """A category of parts (with a background), at most so many of its good pictures, spread over all."""
    dataset = scan_dataset(category, progress)
    good = dataset.good[:: -(-len(dataset.good) // most)]
    pictures = load_prepared(good, whole_frame_viewer(size, size), progress)
    taps = taps_of(CprSettings())
    backbone = load_backbone("efficientnet-lite0", taps)
    shallow = load_backbone("efficientnet-lite0", taps[: len(STRIDES)])
    maps = extract_maps(shallow, pictures, ScratchArrays(Path("/tmp")), "features", progress)
    parts: list[list[Tensor]] = [[] for _ in taps[len(STRIDES) :]]
    with torch.inference_mode():
        for picture in progress.track("coarser features", list(pictures)):
            for part, m in zip(parts, backbone(torch.from_numpy(picture[None]))[len(STRIDES) :], strict=True):
                part.append(Direction()(m).half())
    rows = range(len(pictures))
    validation_rows = tuple(pick_validation_rows(len(rows)))
    foreground, _ = find_foreground(maps.fine, "object", 0)
    assert foreground is not None
    return CprParts(
        dataset,
        pictures,
        load_textures(textures, size, size, 0, progress),
        backbone,
        maps,
        tuple(torch.cat(part) for part in parts),
        foreground,
        fit_codebook(maps.fine, rows, 0),
        tuple(row for row in rows if row not in validation_rows),
        validation_rows,
        progress,
    )


def training_set_of(parts: CprParts, pool: int, foreground: Foreground) -> TrainingSet:
    """Made-up pictures to learn from and to validate with."""
    m = parts
    references = References(m.train_rows, retrieval_of(m.codebook, m.maps, m.train_rows))
    seeing = load_backbone("efficientnet-lite0", m.backbone.taps[: len(STRIDES)])
    maker = PictureMaker(seeing, m.pictures, m.maps, references, foreground, m.textures, 0)
    return TrainingSet(maker, m.train_rows, m.validation_rows, pool, 0, 0, ScratchArrays(Path("/tmp")), m.progress)


def branches_to_train(parts: CprParts, width: int) -> tuple[LocalBranch, LocalBranch]:
    """As a build begins with them."""
    fine, coarse = fresh_state(parts, width).local
    assert isinstance(fine, LocalBranch)
    assert isinstance(coarse, LocalBranch)
    return fine, coarse


def fresh_state(parts: CprParts, width: int) -> TrainingState:
    """Before the first step of a build."""
    return new_state((parts.maps.fine.shape[1], parts.maps.coarse.shape[1]), width, D, 0, CPU)


def trained(
    parts: CprParts, training_set: TrainingSet, foreground: Foreground, local: Branches, steps: int
) -> tuple[Branches, float]:
    """Branches at their best in validation, folded, and their average precision there."""
    blank = fresh_state(parts, 12)
    modules = nn.ModuleList(local)
    optimizer = torch.optim.AdamW(modules.parameters(), **{"weight_decay": blank.optimizer.defaults["weight_decay"]})
    state = TrainingState(modules, optimizer, blank.generator, modules.state_dict())
    judge = partial(
        validation_precision, references=parts.maps, validation=training_set.validation, foreground=foreground
    )
    schedule = Schedule(steps, steps // ROUNDS)
    train(state, schedule, parts.maps, training_set.pool, judge, lambda _: False, parts.progress)
    return state.best_branches(), state.best


def detector_of(
    parts: CprParts,
    describers: Sequence[nn.Module],
    foreground: Foreground,
    retrieval: GlobalBranch | None = None,
    scaled: bool = True,
) -> Cpr:
    """The detector with all good pictures as references; describers: of as many taps as are compared, at most all.

    scaled: whether a distance counts less where good pictures differ (docs/decisions/0006).
    """
    m = parts
    rows = list(range(len(m.pictures)))
    found = retrieval or retrieval_of(m.codebook, m.maps, rows)
    taps = [
        described(d, part, rows) if isinstance(d, LocalBranch) else d(part.float()).half()
        for d, part in zip(describers, (m.maps.fine, m.maps.coarse), strict=False)
    ]
    taps += m.coarser[: len(describers) - len(STRIDES)]
    reaches = (FINE_REACH, 0, *(0 for _ in m.coarser))
    means = (None, None, *(COARSER_SPREAD for _ in m.coarser))
    with torch.inference_mode():
        nearest = retrieval_of(m.codebook, m.maps, rows)
        others = torch.stack([nearest.others(m.maps.fine[row][None].float(), row) for row in rows])
        others = others if scaled else others[:, :0]
        banks = [bank_of(cells, others, reach, mean) for cells, reach, mean in zip(taps, reaches, means, strict=False)]
        shares = torch.cat([foreground(m.maps.fine[row][None].float()).half() for row in rows])
    matches = [Match(d, bank, reach) for d, bank, reach in zip(describers, banks, reaches, strict=False)]
    cut = load_backbone("efficientnet-lite0", m.backbone.taps[: len(describers)])
    size = (int(m.pictures.shape[1]), int(m.pictures.shape[2]))
    return Cpr(cut, found, matches, (foreground, shares), size, ())
