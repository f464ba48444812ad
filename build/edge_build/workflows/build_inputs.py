"""What a build starts from: found and checked before anything is learned, then read.

inputs = find_inputs(recipe, recipe_text, thorough=False, progress=progress)
inputs, good = read_good_pictures(inputs, progress)
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.bundling.writer import check_place
from edge_build.checkpoint import Dependency
from edge_build.data.dataset import Dataset, scan_dataset
from edge_build.data.frame_limits import limits_of_good
from edge_build.data.pictures import DatasetError, Picture, PreparedPictures, problem_lines
from edge_build.data.splits import Splits, split
from edge_build.detectors.backbones.weights import WeightsFile, find_weights
from edge_build.detectors.defects.real import RealDefects, load_defects
from edge_build.progress import Progress
from edge_build.recipe.recipe import Recipe
from edge_build.screening.suspects import Suspect
from edge_build.views.learn import LearnedView, learn_view
from edge_build.workflows.provenance import provenance_of
from edge_build.workflows.screening import screened
from edge_runtime import __version__
from edge_runtime.bundle.manifest import FrameLimits
from edge_runtime.errors import ConfigError
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.imaging.view import UNLIMITED, PartLimits

LIBRARIES = ("torch", "onnx", "onnxruntime", "opencv-python-headless", "numpy")


@dataclass(frozen=True)
class BuildInputs:
    """recipe_text: for the manifest. thorough, exclude_suspects: as the options. builder: the versions
    and weights that build.

    viewer: what the model sees of a frame, learned from the good pictures. defects: real ones to learn from, None
    without any. part: where the model's picture shows the part, 0 to 1, (H, W); None where the view does not know.
    """

    recipe: Recipe
    recipe_text: str
    thorough: bool
    builder: str
    dataset: Dataset
    viewer: FrameViewer
    defects: RealDefects | None
    part: NDArray[np.float32] | None = None
    exclude_suspects: bool = False

    @property
    def part_limits(self) -> PartLimits:
        """Which parts are judged."""
        record = self.viewer.view.record
        return UNLIMITED if record is None else record.limits

    @property
    def notes(self) -> tuple[str, ...]:
        """For people, of the pictures and of what is seen of them."""
        record = self.viewer.view.record
        return self.dataset.notes if record is None else (*self.dataset.notes, f"view: {record.why}")

    @property
    def provenance(self) -> list[Dependency]:
        """What a checkpoint of this build depends on."""
        found = provenance_of(self.recipe, self.thorough, self.dataset, self.builder)
        return [*found, Dependency("--exclude-suspects", "true")] if self.exclude_suspects else found


@dataclass(frozen=True)
class GoodPictures:
    """The good pictures at the model's size, what each of them is for, and the limits of frames that they set.

    suspects: those that do not look like the others, the strangest first; only what is left out is not among the rest.
    """

    splits: Splits
    prepared: PreparedPictures
    frames: FrameLimits
    suspects: tuple[Suspect, ...] = ()

    def train_rows(self, *without_folds: int) -> list[int]:
        """Rows in `prepared` to learn from; without those of folds that a detector is to score."""
        return self.prepared.rows(self.splits.train_without(*without_folds))

    def known(self, compares: bool, *without_folds: int) -> Sequence[Picture]:
        """What a detector that compares knows without having learned from it; nothing for any other."""
        return self.splits.known_without(*without_folds) if compares else ()

    @property
    def calibration(self) -> NDArray[np.uint8]:
        """The candidates for INT8 calibration, uint8 BGR (n, H, W, 3)."""
        return self.prepared.of(self.splits.calibration)


def refuse_at_once(recipe: Recipe, out: Path, thorough: bool) -> None:
    """What needs no picture to be refused. Raises ConfigError and StorageError."""
    if thorough and recipe.detector == "patchcore":
        raise ConfigError(
            "--thorough is for detectors that are trained; patchcore learns the same in any time: leave it out"
        )
    check_place(out, recipe.label, "raise `version` in the recipe")


def find_inputs(
    recipe: Recipe, recipe_text: str, thorough: bool, progress: Progress, exclude_suspects: bool = False
) -> BuildInputs:
    """Everything that can be refused before the long work is. Raises an EdgeError that says what to do."""
    if thorough:
        recipe_text = f"# built with --thorough\n{recipe_text}"
    if exclude_suspects:
        recipe_text = f"# built with --exclude-suspects\n{recipe_text}"
    builder = _builder(find_weights(recipe.active.backbone, recipe.active.backbone_weights))
    dataset = _dataset(recipe, progress)
    learned = learn_view(dataset.good, recipe.view, recipe.size, progress)
    dataset, viewer = _without_lost(dataset, learned, progress), FrameViewer(learned.view)
    defects = _real_defects(recipe, dataset, viewer, progress)
    return BuildInputs(recipe, recipe_text, thorough, builder, dataset, viewer, defects, learned.part, exclude_suspects)


def read_good_pictures(inputs: BuildInputs, progress: Progress) -> tuple[BuildInputs, GoodPictures]:
    """Read the good pictures at the model's size, find those that are suspicious, split the others, and measure what
    frames may look like. The inputs come back with what was found in their notes, and without what is left out."""
    recipe = inputs.recipe
    prepared = PreparedPictures(inputs.dataset.good, inputs.viewer, progress)
    dataset, suspects = screened(inputs.dataset, prepared.all(), inputs.exclude_suspects, recipe.seed, progress)
    inputs, good = replace(inputs, dataset=dataset), dataset.good
    splits = split(good, recipe.threshold, recipe.calibration.set_aside, recipe.seed)
    prepared = prepared.without({suspect.picture for suspect in suspects if suspect.left_out})
    return inputs, GoodPictures(splits, prepared, limits_of_good(good, progress), suspects)


def _dataset(recipe: Recipe, progress: Progress) -> Dataset:
    """The pictures, if a detector can learn from them; what was left out of them is logged."""
    dataset = scan_dataset(recipe.dataset, progress, recipe.exclude, recipe.all_good)
    shapes = dataset.shapes
    if shapes is not None and shapes.refuse:
        raise DatasetError(shapes.text)
    dataset = dataset if shapes is None else replace(dataset, notes=(*dataset.notes, f"warning: {shapes.text}"))
    for note in dataset.notes:
        progress.say(note)
    return dataset


def _without_lost(dataset: Dataset, learned: LearnedView, progress: Progress) -> Dataset:
    """Without the good pictures in which no part was found: a line answers ERROR to them."""
    if not learned.lost:
        return dataset
    names = problem_lines([str(picture.path) for picture in learned.lost])
    note = f"warning: left out {len(learned.lost)} good pictures in which the part is not found:\n{names}"
    progress.say(note)
    kept = tuple(picture for picture in dataset.good if picture not in learned.lost)
    return replace(dataset, good=kept, notes=(*dataset.notes, note))


def _real_defects(recipe: Recipe, dataset: Dataset, viewer: FrameViewer, progress: Progress) -> RealDefects | None:
    if recipe.detector == "patchcore" or recipe.cpr.defects is None:
        return None
    return load_defects(recipe.cpr.defects, dataset, viewer, progress)


def _builder(weights: WeightsFile) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return f"edge-build {__version__} ({versions}; weights {weights.path.name} sha256 {weights.sha256})"
