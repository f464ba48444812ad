"""Learning CPR-Faster: a frozen backbone's features once, then foreground, codebook, made-up defects, training.

What the local branch learns is validated on good pictures that nothing is learned from, with made-up defects of their
own. No test picture takes part.

    learner = CprLearner(pictures, settings, dimensions, seed, progress)
    detector = learner.learn(range(len(pictures)))
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor

from edge_build.checkpoint import Unfinished
from edge_build.detectors.backbones.backbone import load_backbone, stage_at, strides_of
from edge_build.detectors.cpr.feature_maps import Maps, described, extract_directions, extract_maps, shares_of
from edge_build.detectors.cpr.foreground import AnyForeground, Foreground, PlacedForeground, find_foreground
from edge_build.detectors.cpr.matching import FINE_REACH, Direction, Match, bank_of
from edge_build.detectors.cpr.model import STRIDES, Cpr
from edge_build.detectors.cpr.references import references_allowed, select_references
from edge_build.detectors.cpr.retrieval import GlobalBranch
from edge_build.detectors.cpr.scratch_arrays import ScratchArrays
from edge_build.detectors.cpr.training import ROUNDS, Schedule, train
from edge_build.detectors.cpr.training_pictures import PictureMaker, References
from edge_build.detectors.cpr.training_set import SourcePicker, TrainingSet
from edge_build.detectors.cpr.training_state import Branches, TrainingState, bytes_from_state, new_state, restore
from edge_build.detectors.cpr.validation import pick_validation_rows, validation_precision
from edge_build.detectors.defects.real import RealDefects
from edge_build.detectors.defects.textures import load_textures
from edge_build.detectors.protocol import Example
from edge_build.progress import Progress
from edge_build.recipe.detector_settings import CprSettings
from edge_runtime.errors import ConfigError

CODES = 12
MOST_VECTORS = 50_000  # for the codebook
MOST_FOR_FOREGROUND = 200  # pictures
COARSER_STRIDE = 16
COARSER_SPREAD = (
    1.0  # mean distance between good pictures on a tap that is not trained: it leaves the others' sum as it is
)
EXAMPLES = 12  # for the report
LEAST_TRUST = 0.5  # in a foreground: with less, the view's own is taken, if it knows where the part is
THOROUGH_STEPS = 6  # times as many
THOROUGH_FRESH = 4  # one of so many pictures of the pool is new in every round


@dataclass(frozen=True)
class LearnedParts:
    """What does not change with the references."""

    foreground: AnyForeground | None
    codebook: Tensor
    local: Branches
    notes: tuple[str, ...]
    examples: tuple[Example, ...]


class CprLearner:
    """Holds the features of the good pictures in float16: 0.4 MB a picture at 320x320."""

    compares = True

    def __init__(
        self,
        pictures: NDArray[np.uint8],
        settings: CprSettings,
        dimensions: int,
        seed: int,
        progress: Progress,
        *,
        work: Unfinished | None = None,
        thorough: bool = False,
        device: torch.device | None = None,
        defects: RealDefects | None = None,
        part: NDArray[np.float32] | None = None,
    ) -> None:
        """pictures: uint8 BGR (n, H, W, 3), prepared. dimensions: of a cell's descriptor.

        defects: real ones to learn from, if any. part: where the view shows the part, 0 to 1, (H, W).
        work: where checkpoints are kept; without, there are none. thorough:
        longer, with new made-up pictures in every round. device: where networks compute, None for a GPU if any.
        Raises ConfigError for weights or textures that cannot be read.
        """
        self._settings, self._seed, self._progress, self._defects = settings, seed, progress, defects
        self._pictures = pictures if defects is None else np.concatenate([pictures, defects.pictures])
        self._work, self._thorough = work, thorough
        self._device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self._device.type != "cpu":
            progress.say(f"networks compute on {self._device}")
        self._size = (int(pictures.shape[1]), int(pictures.shape[2]))
        self._dimensions, self._part = dimensions, part
        self._textures = load_textures(settings.textures, *self._size, seed, progress)
        taps = taps_of(settings)
        self._backbone = load_backbone(settings.backbone, taps, settings.backbone_weights)
        self._folder = work.folder if work else Path(tempfile.gettempdir())
        # coarser taps are compared as they are: what is trained needs no features of theirs
        shallow = load_backbone(settings.backbone, taps[: len(STRIDES)], settings.backbone_weights)
        self._seeing = shallow.to(self._device)
        self._maps = extract_maps(self._seeing, self._pictures, ScratchArrays(self._folder), "features", progress)
        self._coarser = extract_directions(self._backbone, len(STRIDES), pictures, progress)
        self._last: tuple[tuple[int, ...], LearnedParts] | None = None

    def learn(self, chosen: Sequence[int], known: Sequence[int] = ()) -> Cpr:
        """The detector that learned from the chosen pictures, and compares with these and those known.

        Raises ConfigError when the recipe asks for a foreground that is not there.
        """
        return self.comparing(chosen, [*chosen, *known])

    def comparing(self, chosen: Sequence[int], rows: Sequence[int]) -> Cpr:
        """The detector that learned from the chosen pictures, and compares with those of other rows alone."""
        if self._last is None or self._last[0] != tuple(chosen):
            self._last = (tuple(chosen), self._learned(tuple(chosen)))
        return self._composed(self._last[1], rows)

    def _composed(self, learned: LearnedParts, rows: Sequence[int]) -> Cpr:
        maps, part = self._maps, learned.foreground
        retrieval = retrieval_of(learned.codebook, maps, rows)
        rows, notes = self._kept(retrieval, rows), learned.notes
        if len(rows) < retrieval.references:
            notes = (*notes, f"compares with {len(rows)} of {retrieval.references} good pictures, which cover all best")
            retrieval = retrieval_of(learned.codebook, maps, rows)
        with torch.inference_mode():
            others = torch.stack([retrieval.others(maps.fine[row][None].float(), n) for n, row in enumerate(rows)])
            matches = [
                Match(branch, bank_of(described(branch, m, rows), others, reach), reach)
                for branch, m, reach in zip(learned.local, (maps.fine, maps.coarse), (FINE_REACH, 0), strict=True)
            ]
            for coarser in self._coarser:
                matches.append(Match(Direction(), bank_of(coarser[list(rows)], others, 0, COARSER_SPREAD), 0))
        shares = shares_of(part, maps.fine, rows) if isinstance(part, Foreground) else None
        return Cpr(
            self._backbone,
            retrieval,
            matches,
            None if part is None else (part, shares),
            self._size,
            notes,
            learned.examples,
        )

    def _kept(self, retrieval: GlobalBranch, rows: Sequence[int]) -> Sequence[int]:
        """The references among some rows: as many as the recipe asks for, as far as a graph holds them."""
        cells = sum((self._dimensions + 1) * m.shape[2] * m.shape[3] for m in (self._maps.fine, self._maps.coarse))
        cells += sum(m.shape[2] * m.shape[3] * (m.shape[1] + 1) for m in self._coarser)
        count = references_allowed(self._settings.references, cells * self._maps.fine.element_size())
        if count >= len(rows):
            return rows
        return [rows[place] for place in select_references(retrieval.histograms, count, self._seed, self._progress)]

    def _learned(self, chosen: tuple[int, ...]) -> LearnedParts:
        maps, some = self._maps, chosen[:: -(-len(chosen) // MOST_FOR_FOREGROUND)]
        foreground, why = self._foreground(maps.fine[list(some)])
        self._progress.say(why)
        codebook = fit_codebook(maps.fine, chosen, self._seed)
        state, schedule, checkpoint = self._state(), self._schedule(), f"training-{_digest(chosen)}"
        saved = self._work.load(checkpoint) if self._work else None
        if saved is not None:
            restore(state, saved)
            self._progress.say(f"going on after step {state.step} of {schedule.steps}")
        validation_rows = tuple(chosen[place] for place in pick_validation_rows(len(chosen)))
        train_rows = tuple(row for row in chosen if row not in validation_rows)
        maker = self._maker(train_rows, foreground, codebook)
        if not state.finished:
            self._train(state, schedule, maker, train_rows, validation_rows, checkpoint)
        self._progress.say(
            f"average precision on made-up defects of {len(validation_rows)} validation pictures: {state.best:.1%}"
        )
        shown = np.linspace(0, self._settings.pool - 1, min(EXAMPLES, self._settings.pool)).round().astype(int)
        examples = tuple(maker.example(source) for source in SourcePicker(maker, train_rows).pick(shown.tolist()))
        return LearnedParts(foreground, codebook, state.best_branches(), (why, *self._notes(state)), examples)

    def _foreground(self, fine: Tensor) -> tuple[AnyForeground | None, str]:
        """Where the part is: by what some good pictures' maps look like, or where these do not tell, by the view."""
        found, why = find_foreground(fine, self._settings.kind, self._seed)
        sure = found is not None and found.trust >= LEAST_TRUST
        if self._part is None or self._settings.kind != "auto" or sure:
            return found, why
        height, width = fine.shape[2:]
        placed = PlacedForeground(self._part, (int(height), int(width)))
        share = float(placed.share.mean())
        return (
            placed,
            f"kind: object, where the view shows the part, {share:.0%} of the picture (not by its looks: {why})",
        )

    def _train(
        self,
        state: TrainingState,
        schedule: Schedule,
        maker: PictureMaker,
        train_rows: tuple[int, ...],
        validation_rows: tuple[int, ...],
        checkpoint: str,
    ) -> None:
        fresh = -(-self._settings.pool // THOROUGH_FRESH) if self._thorough else 0
        rounds = state.step // schedule.round_steps
        scratch = ScratchArrays(self._folder)
        training_set = TrainingSet(
            maker,
            train_rows,
            validation_rows,
            self._settings.pool,
            fresh,
            rounds,
            scratch,
            self._progress,
            self._work,
            checkpoint,
        )
        judge = partial(
            validation_precision, references=self._maps, validation=training_set.validation, foreground=maker.foreground
        )

        def after_round(done: int) -> bool:
            self._save(checkpoint, state, schedule)
            return training_set.renew(done)

        train(state, schedule, self._maps, training_set.pool, judge, after_round, self._progress)
        self._save(checkpoint, state, schedule)
        training_set.finish()

    def _maker(self, train_rows: tuple[int, ...], foreground: AnyForeground | None, codebook: Tensor) -> PictureMaker:
        return PictureMaker(
            self._seeing,
            self._pictures,
            self._maps,
            References(train_rows, retrieval_of(codebook, self._maps, train_rows)),
            foreground,
            self._textures,
            self._seed,
            self._defects,
        )

    def _schedule(self) -> Schedule:
        steps = self._settings.steps
        return Schedule(steps * (THOROUGH_STEPS if self._thorough else 1), steps // ROUNDS)

    def _state(self) -> TrainingState:
        """Before the first step."""
        channels = (self._maps.fine.shape[1], self._maps.coarse.shape[1])
        return new_state(channels, self._settings.width, self._dimensions, self._seed, self._device)

    def _save(self, checkpoint: str, state: TrainingState, schedule: Schedule) -> None:
        if self._work is not None:
            reached = (
                "the whole training" if state.finished else f"training up to step {state.step} of {schedule.steps}"
            )
            self._work.save(checkpoint, bytes_from_state(state), reached)

    def _notes(self, state: TrainingState) -> tuple[str, ...]:
        notes = []
        if self._defects is not None:
            notes.append(
                f"{len(self._defects)} pictures of real defects (cpr.defects) were learned from besides made-up ones"
            )
        if self._thorough:
            notes.append(f"--thorough: {state.step} steps, with fresh made-up pictures in every round")
        return tuple(notes)


def taps_of(settings: CprSettings) -> tuple[int, ...]:
    """The backbone's stages that are compared: the recipe's, or those at strides 4 and 8 and the first at 16.

    Raises ConfigError when the recipe's do not begin with strides 4 and 8.
    """
    strides = strides_of(settings.backbone)
    if settings.taps is None:
        return (*(stage_at(settings.backbone, stride) for stride in STRIDES), strides.index(COARSER_STRIDE) + 1)
    found = tuple(strides[tap - 1] for tap in settings.taps if tap <= len(strides))
    if len(found) != len(settings.taps) or found[: len(STRIDES)] != STRIDES:
        usual = [number for number, stride in enumerate(strides, 1) if stride in STRIDES]
        raise ConfigError(
            f"cpr.taps is {list(settings.taps)}, which {settings.backbone} has at strides {list(found)}: begin with "
            f"its stages at strides 4 and 8, {usual}, and add coarser ones"
        )
    return settings.taps


def retrieval_of(codebook: Tensor, maps: Maps, rows: Sequence[int]) -> GlobalBranch:
    """What finds the most alike of some good pictures."""
    return GlobalBranch(codebook, [maps.fine[row][None] for row in rows])


def fit_codebook(fine: Tensor, rows: Sequence[int], seed: int) -> Tensor:
    """Centres (CODES, C) of the cells of some of the fine maps (n, C, h, w)."""
    cells = fine.permute(0, 2, 3, 1).flatten(1, 2)
    chosen = np.random.default_rng(seed).permutation(len(rows) * cells.shape[1])[:MOST_VECTORS]
    pictures, places = np.divmod(chosen, cells.shape[1])
    vectors = cells[torch.from_numpy(np.asarray(rows)[pictures]), torch.from_numpy(places)].float().numpy()
    return torch.from_numpy(KMeans(CODES, n_init=10, random_state=seed).fit(vectors).cluster_centers_).float()


def _digest(chosen: Sequence[int]) -> str:
    return hashlib.sha256(",".join(map(str, chosen)).encode()).hexdigest()[:12]
