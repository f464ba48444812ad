"""From a recipe to a bundle. `build()` is the whole way, top to bottom.

built = build(read_recipe(Path("screw.yaml")), recipe_text, Path("bundles"), progress)
print(built.folder)
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edge_build.acceptance.held_out import Graphs
from edge_build.acceptance.judgement import Judgement, judge_precisions
from edge_build.bundling.pack import BundleContents, pack
from edge_build.bundling.training_record import training_record_of
from edge_build.bundling.writer import DEVICE_TOLERANCE, check_place
from edge_build.checkpoint import Unfinished, open_unfinished
from edge_build.data.dataset import Dataset, fingerprint, scan_dataset
from edge_build.data.frame_limits import limits_of_good
from edge_build.data.pictures import GOOD, DatasetError, PreparedPictures
from edge_build.data.splits import Splits, split
from edge_build.detectors.backbones.weights import WeightsFile, find_weights
from edge_build.detectors.cpr.learner import CprLearner
from edge_build.detectors.cpr.model import DIMENSIONS
from edge_build.detectors.defects.real import RealDefects, load_defects
from edge_build.detectors.patchcore.learner import PatchcoreLearner
from edge_build.detectors.protocol import Learner
from edge_build.evaluation.evaluate import evaluate
from edge_build.evaluation.result import Evaluation
from edge_build.evaluation.summary import figures
from edge_build.graphs.emulated_engine import emulated_engine
from edge_build.graphs.export import export_graph
from edge_build.graphs.parity import Parity, golden_pictures, prove_parity
from edge_build.graphs.precisions import GateResult, PrecisionMaker
from edge_build.progress import Progress
from edge_build.recipe.recipe import Recipe
from edge_build.workflows.provenance import provenance_of
from edge_runtime import __version__
from edge_runtime.bundle.manifest import Dataset as DatasetRecord
from edge_runtime.bundle.manifest import Figures, FrameLimits, Golden, GraphEntry, Manifest, Record, Threshold
from edge_runtime.errors import ConfigError
from edge_runtime.imaging.preprocess import PREPROCESSING
from edge_runtime.inspection.judge import Judge
from edge_runtime.records import Inspection, Precision

LIBRARIES = ("torch", "onnx", "onnxruntime", "opencv-python-headless", "numpy")


class Built(Record):
    """`edge-build build --json`: what was built, and how good it is."""

    folder: str
    bundle: str
    bank_entries: int
    dimensions: int
    threshold: Threshold
    figures: Figures | None
    not_judged: int  # test pictures beyond the limits of frames, to which a line answers ERROR
    precisions: tuple[Precision, ...]  # that the bundle has
    results: dict[Precision, GateResult]  # how the others did beside FP32
    parity_score: float  # share of the threshold
    parity_map: float
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BuildInputs:
    """What a build starts from, found and checked."""

    recipe: Recipe
    recipe_text: str
    builder: str  # who builds, for the manifest
    dataset: Dataset
    defects: RealDefects | None
    splits: Splits
    prepared: PreparedPictures
    frames: FrameLimits


@dataclass(frozen=True)
class Measurements:
    """golden: what every graph measured on the golden pictures. evaluations: on the test pictures, if there are any."""

    parity: Parity
    golden: Mapping[Precision, Sequence[Inspection]]
    evaluations: Mapping[Precision, Evaluation]


def build(
    recipe: Recipe, recipe_text: str, out: Path, progress: Progress, *, resume: bool = False, thorough: bool = False
) -> Built:
    """Learn, export, set the threshold, prove, measure and pack. Raises an EdgeError that says what to do.

    resume: go on with a build that was interrupted. thorough: take more time to learn, if the detector can use it.
    The test pictures are measured last, and nothing is chosen on them.
    """
    started = time.monotonic()
    label = recipe.label
    if thorough:
        _check_thorough(recipe)
        recipe_text = f"# built with --thorough\n{recipe_text}"
    check_place(out, label, "raise `version` in the recipe")
    builder = _builder(find_weights(recipe.active.backbone, recipe.active.backbone_weights))
    dataset = _dataset(recipe.dataset, progress)
    defects = _real_defects(recipe, dataset, progress)
    provenance = provenance_of(recipe, thorough, dataset, builder)
    with open_unfinished(out / f"{label}.unfinished", provenance, resume, progress) as work:
        splits = split(dataset.good, recipe.threshold, recipe.calibration.set_aside, recipe.seed)
        prepared, frames = PreparedPictures(dataset.good, recipe.size, progress), limits_of_good(dataset.good, progress)
        m = BuildInputs(recipe, recipe_text, builder, dataset, defects, splits, prepared, frames)
        learner = _learner(m, work, thorough, progress)
        return _build(m, learner, out, started, progress)


def _build(m: BuildInputs, learner: Learner, out: Path, started: float, progress: Progress) -> Built:
    known = m.splits.known_without(None) if learner.compares else ()
    detector = learner.learn(m.prepared.rows(m.splits.train), m.prepared.rows(known))
    graph, candidates = export_graph(detector, *m.recipe.size), m.prepared.of(m.splits.calibration)
    maker = PrecisionMaker(m.recipe.precisions, m.recipe.calibration, graph, candidates, m.recipe.seed, progress)
    judgement = _judge(m, learner, graph, maker, progress)
    judgement.report_to(progress)
    graphs = judgement.accepted(maker.graphs(graph))
    golden = golden_pictures(candidates, m.recipe.golden.pictures)
    measured = _measure(m, detector, graphs, judgement, golden, progress)
    contents = BundleContents(
        graphs,
        golden,
        measured.golden,
        judgement,
        maker,
        m.splits.calibration,
        training=training_record_of((*m.splits.train, *known)),
        root=m.dataset.root,
        notes=(*m.dataset.notes, *detector.notes, *judgement.notes),
        parity=measured.parity,
        evaluations=measured.evaluations,
        examples=detector.examples,
        real_defects=len(m.defects or ()),
    )
    label = m.recipe.label
    manifest = pack(out, label, contents, lambda golden, graphs: _manifest(m, golden, graphs, measured.evaluations))
    return Built(
        folder=str(out / label),
        bundle=label,
        bank_entries=detector.entries,
        dimensions=detector.dimensions,
        threshold=judgement.thresholds[Precision.FP32],
        figures=manifest.figures.get(Precision.FP32),
        not_judged=int((~measured.evaluations[Precision.FP32].judged).sum()) if m.dataset.test else 0,
        precisions=tuple(graphs),
        results=dict(judgement.results),
        parity_score=measured.parity.score,
        parity_map=measured.parity.map,
        seconds=round(time.monotonic() - started, 1),
        notes=contents.notes,
    )


def _judge(m: BuildInputs, learner: Learner, graph: bytes, maker: PrecisionMaker, progress: Progress) -> Judgement:
    """Every precision on held-out pictures, which no graph that scores them has learned from."""

    def graphs_without(fold: int) -> Graphs:
        train = m.splits.train_without(fold)
        known = m.splits.known_without(fold) if learner.compares else ()
        if train == m.splits.train and not learner.compares:
            return maker.graphs(graph)
        learned = learner.learn(m.prepared.rows(train), m.prepared.rows(known))
        return maker.graphs(export_graph(learned, *m.recipe.size))

    settings = m.recipe.threshold
    # what compares with the held-out pictures knows more when it serves than when it judged them
    method = "cross-fitted" if learner.compares else settings.method
    return judge_precisions(
        m.splits, graphs_without, m.prepared, maker, settings.false_reject_rate, method, m.recipe.seed, progress
    )


def _measure(
    m: BuildInputs,
    detector: nn.Module,
    graphs: Graphs,
    judgement: Judgement,
    golden: NDArray[np.uint8],
    progress: Progress,
) -> Measurements:
    """Prove FP32 against torch, and measure every graph on the golden and the test pictures."""
    on_golden: dict[Precision, Sequence[Inspection]] = {}
    evaluations: dict[Precision, Evaluation] = {}
    for precision, graph in graphs.items():
        threshold = judgement.thresholds[precision]
        with emulated_engine(graph) as engine:
            if precision is Precision.FP32:
                parity, on_golden[precision] = prove_parity(detector, engine, golden, threshold)
                progress.say(f"torch and onnxruntime agree within {parity.score:.1e} of the threshold")
            else:
                on_golden[precision] = [engine.infer(picture[None]) for picture in golden]
            if m.dataset.test:
                judge = Judge(engine, threshold, *m.recipe.size, limits=m.frames)
                evaluations[precision] = evaluate(judge, m.dataset.test, progress, f"evaluate {precision.value}")
    return Measurements(parity, on_golden, evaluations)


def _manifest(
    m: BuildInputs,
    golden: tuple[Golden, ...],
    graphs: Mapping[Precision, GraphEntry],
    evaluations: Mapping[Precision, Evaluation],
) -> Manifest:
    return Manifest(
        schema_version=1,
        name=m.recipe.name,
        version=m.recipe.version,
        detector=m.recipe.detector,
        backbone=m.recipe.active.backbone,
        height=m.recipe.size[0],
        width=m.recipe.size[1],
        preprocessing=PREPROCESSING,
        graphs=dict(graphs),
        golden=golden,
        tolerance=DEVICE_TOLERANCE,
        dataset=_dataset_record(m),
        figures={precision: figures(evaluation) for precision, evaluation in evaluations.items()},
        recipe=m.recipe_text,
        seed=m.recipe.seed,
        builder=m.builder,
        frames=m.frames,
        files={},
    )


def _check_thorough(recipe: Recipe) -> None:
    if recipe.detector == "patchcore":
        raise ConfigError(
            "--thorough is for detectors that are trained; patchcore learns the same in any time: leave it out"
        )


def _learner(m: BuildInputs, work: Unfinished, thorough: bool, progress: Progress) -> Learner:
    """What the recipe's `detector` names."""
    recipe, pictures = m.recipe, m.prepared.all()
    if recipe.detector == "patchcore":
        return PatchcoreLearner(pictures, recipe.patchcore, recipe.seed, progress)
    dimensions = DIMENSIONS[recipe.detector]
    return CprLearner(
        pictures, recipe.cpr, dimensions, recipe.seed, progress, work=work, thorough=thorough, defects=m.defects
    )


def _dataset(root: Path, progress: Progress) -> Dataset:
    """The pictures, if a detector can learn from them; what was left out of them is said."""
    dataset = scan_dataset(root, progress)
    shapes = dataset.shapes
    if shapes is not None and shapes.refuse:
        raise DatasetError(shapes.text)
    dataset = dataset if shapes is None else replace(dataset, notes=(*dataset.notes, f"warning: {shapes.text}"))
    for note in dataset.notes:
        progress.say(note)
    return dataset


def _real_defects(recipe: Recipe, dataset: Dataset, progress: Progress) -> RealDefects | None:
    if recipe.detector == "patchcore" or recipe.cpr.defects is None:
        return None
    return load_defects(recipe.cpr.defects, dataset, *recipe.size, progress)


def _dataset_record(m: BuildInputs) -> DatasetRecord:
    dataset, splits, defects = m.dataset, m.splits, m.defects
    test_good = sum(picture.label == GOOD for picture in dataset.test)
    return DatasetRecord(
        name=dataset.name,
        fingerprint=fingerprint(dataset, defects.sources if defects else ()),
        train=len(splits.train),
        calibration=len(splits.calibration),
        threshold=sum(len(fold) for fold in splits.folds),
        test_good=test_good,
        test_defect=len(dataset.test) - test_good,
    )


def _builder(weights: WeightsFile) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return f"edge-build {__version__} ({versions}; weights {weights.path.name} sha256 {weights.sha256})"
