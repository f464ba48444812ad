"""From a recipe to a bundle. `build()` is the whole way, top to bottom.

built = build(read_recipe(Path("screw.yaml")), recipe_text, Path("bundles"), progress)
print(built.folder)
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.bundle_writer import (
    DEVICE_TOLERANCE,
    check_place,
    new_bundle,
    write_golden,
    write_graphs,
    write_manifest,
)
from edge_build.calibration_files import write_calibration
from edge_build.cpr import DIMENSIONS
from edge_build.cpr_learner import CprLearner
from edge_build.dataset import GOOD, Dataset, Picture, fingerprint, load_prepared, scan_dataset
from edge_build.evaluate import evaluate
from edge_build.evaluation import Evaluation
from edge_build.exact_engine import exact_engine
from edge_build.export import export_graph
from edge_build.facts import facts_of
from edge_build.good_frames import limits_of_good
from edge_build.held_out import HeldOut, score_held_out
from edge_build.learner import Learner
from edge_build.parity import golden_pictures, prove_parity
from edge_build.patchcore_training import PatchcoreLearner
from edge_build.precisions import GateResult, PrecisionMaker, judged, precision_notes
from edge_build.progress import Progress
from edge_build.real_defects import RealDefects, load_defects
from edge_build.recipe import Recipe
from edge_build.report import Story, write_report
from edge_build.splits import Splits, split
from edge_build.summary import figures
from edge_build.unfinished import Unfinished, open_unfinished
from edge_build.weights import WeightsFile, find_weights
from edge_calibration.threshold import shortage, threshold_from_good
from edge_runtime import __version__
from edge_runtime.errors import ConfigError
from edge_runtime.judge import Judge
from edge_runtime.manifest import Dataset as DatasetRecord
from edge_runtime.manifest import Figures, Manifest, Record, Threshold
from edge_runtime.prepare import PREPROCESSING
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
    precisions: tuple[Precision, ...]  # that the bundle has
    results: dict[Precision, GateResult]  # how the others did beside FP32
    parity_score: float  # share of the threshold
    parity_map: float
    seconds: float
    notes: tuple[str, ...]


def build(
    recipe: Recipe, recipe_text: str, out: Path, progress: Progress, *, resume: bool = False, thorough: bool = False
) -> Built:
    """Learn, export, set the threshold, prove, measure and pack. Raises an EdgeError that says what to do.

    resume: go on with a build that was interrupted. thorough: take more time to learn, if the detector can use it.
    The test pictures are measured last, and nothing is chosen on them.
    """
    started = time.monotonic()
    label = f"{recipe.name}-{recipe.version}"
    if thorough:
        _check_thorough(recipe)
        recipe_text = f"# built with --thorough\n{recipe_text}"
    check_place(out, label)
    builder = _builder(find_weights(recipe.active.backbone, recipe.active.backbone_weights))
    dataset = scan_dataset(recipe.dataset, progress)
    defects = _real_defects(recipe, dataset, progress)
    facts = facts_of(recipe, thorough, dataset, builder)
    with open_unfinished(out / f"{label}.unfinished", facts, resume, progress) as work:
        shelf = _Shelf(dataset.good, recipe.size, progress)
        learner = _learner(recipe, shelf.all(), defects, work, thorough, progress)
        return _build(recipe, recipe_text, builder, out, dataset, defects, shelf, learner, started, progress)


def _build(
    recipe: Recipe,
    recipe_text: str,
    builder: str,
    out: Path,
    dataset: Dataset,
    defects: RealDefects | None,
    shelf: _Shelf,
    learner: Learner,
    started: float,
    progress: Progress,
) -> Built:
    label = f"{recipe.name}-{recipe.version}"
    splits = split(dataset.good, recipe.threshold, recipe.calibration.set_aside, recipe.seed)
    frames = limits_of_good(dataset.good, progress)
    known = splits.known_without(None) if learner.compares else ()
    detector = learner.learn(shelf.places(splits.train), shelf.places(known))
    graph = export_graph(detector, *recipe.size)
    aside = shelf.prepared(splits.calibration)
    maker = PrecisionMaker(recipe.precisions, recipe.calibration, graph, aside, recipe.seed, progress)
    held_out, thresholds = _set_thresholds(recipe, splits, shelf, learner, graph, maker, progress)
    results = judged(held_out, thresholds)
    told = precision_notes(maker, results)
    for line in told:
        progress.say(line)
    graphs = {p: g for p, g in maker.graphs(graph).items() if p not in results or not results[p].failures}
    golden = golden_pictures(aside, recipe.golden.pictures)
    measured: dict[Precision, list[Inspection]] = {}
    evaluations: dict[Precision, Evaluation] = {}
    for precision, one in graphs.items():
        with exact_engine(one) as engine:
            if precision is Precision.FP32:
                parity, measured[precision] = prove_parity(detector, engine, golden, thresholds[precision])
                progress.say(f"torch and onnxruntime agree within {parity.score:.1e} of the threshold")
            else:
                measured[precision] = [engine.infer(picture[None]) for picture in golden]
            if dataset.test:
                judge = Judge(engine, thresholds[precision], *recipe.size, limits=frames)
                evaluations[precision] = evaluate(judge, dataset.test, progress, f"evaluate {precision.value}")

    threshold = thresholds[Precision.FP32]
    notes = (*dataset.notes, *detector.notes, *_threshold_notes(threshold), *told)
    with new_bundle(out, label) as folder:
        golden_records = write_golden(folder, golden, measured[Precision.FP32])
        entries = write_graphs(folder, graphs, thresholds, measured, results)
        if maker.plan is not None:
            write_calibration(folder, maker, [splits.calibration[row] for row in maker.calibrated_on], dataset.root)
        manifest = Manifest(
            schema_version=1,
            name=recipe.name,
            version=recipe.version,
            detector=recipe.detector,
            backbone=recipe.active.backbone,
            height=recipe.size[0],
            width=recipe.size[1],
            preprocessing=PREPROCESSING,
            graphs=entries,
            golden=golden_records,
            tolerance=DEVICE_TOLERANCE,
            dataset=_dataset_record(dataset, splits, defects),
            figures={precision: figures(evaluation) for precision, evaluation in evaluations.items()},
            recipe=recipe_text,
            seed=recipe.seed,
            builder=builder,
            frames=frames,
            files={},
        )
        scores = {precision: held_out[precision].scores for precision in graphs}
        story = Story(
            manifest,
            scores,
            evaluations,
            parity,
            notes,
            dataset.root,
            results,
            maker.plan,
            examples=detector.examples,
            real_defects=len(defects or ()),
        )
        write_report(folder / "report.html", story)
        write_manifest(folder, manifest)
    return Built(
        folder=str(out / label),
        bundle=label,
        bank_entries=detector.entries,
        dimensions=detector.dimensions,
        threshold=threshold,
        figures=manifest.figures.get(Precision.FP32),
        precisions=tuple(graphs),
        results=results,
        parity_score=parity.score,
        parity_map=parity.map,
        seconds=round(time.monotonic() - started, 1),
        notes=notes,
    )


def _check_thorough(recipe: Recipe) -> None:
    if recipe.detector == "patchcore":
        raise ConfigError(
            "--thorough is for detectors that are trained; patchcore learns the same in any time: leave it out"
        )


def _learner(
    recipe: Recipe,
    pictures: NDArray[np.uint8],
    defects: RealDefects | None,
    work: Unfinished,
    thorough: bool,
    progress: Progress,
) -> Learner:
    """What the recipe's `detector` names, with the pictures uint8 (n, H, W, 3) that it may learn from."""
    if recipe.detector == "patchcore":
        return PatchcoreLearner(pictures, recipe.patchcore, recipe.seed, progress)
    dimensions = DIMENSIONS[recipe.detector]
    return CprLearner(
        pictures, recipe.cpr, dimensions, recipe.seed, progress, work=work, thorough=thorough, defects=defects
    )


def _real_defects(recipe: Recipe, dataset: Dataset, progress: Progress) -> RealDefects | None:
    if recipe.detector == "patchcore" or recipe.cpr.defects is None:
        return None
    return load_defects(recipe.cpr.defects, dataset, *recipe.size, progress)


class _Shelf:
    """The good pictures at the model's size, and where each one is."""

    def __init__(self, pictures: Sequence[Picture], size: tuple[int, int], progress: Progress) -> None:
        self._prepared = load_prepared(pictures, *size, progress)
        self._place = {picture: place for place, picture in enumerate(pictures)}

    def all(self) -> NDArray[np.uint8]:
        """Uint8 (n, H, W, 3)."""
        return self._prepared

    def places(self, pictures: Sequence[Picture]) -> list[int]:
        """Row numbers, in the pictures' order."""
        return [self._place[picture] for picture in pictures]

    def prepared(self, pictures: Sequence[Picture]) -> NDArray[np.uint8]:
        """Uint8 (len(pictures), H, W, 3)."""
        return self._prepared[self.places(pictures)]


def _set_thresholds(
    recipe: Recipe,
    splits: Splits,
    shelf: _Shelf,
    learner: Learner,
    graph: bytes,
    maker: PrecisionMaker,
    progress: Progress,
) -> tuple[dict[Precision, HeldOut], dict[Precision, Threshold]]:
    """What every precision measured on held-out pictures, and the threshold that follows for each."""

    def graphs_without(fold: int) -> dict[Precision, bytes]:
        learned_from = splits.train_without(fold)
        known = splits.known_without(fold) if learner.compares else ()
        if learned_from == splits.train and not learner.compares:
            return maker.graphs(graph)
        learned = learner.learn(shelf.places(learned_from), shelf.places(known))
        return maker.graphs(export_graph(learned, *recipe.size))

    held_out = score_held_out(splits, graphs_without, shelf.prepared, recipe.seed, progress)
    # what compares with the held-out pictures knows more when it serves than when it judged them
    method = "cross-fitted" if learner.compares else recipe.threshold.method
    rate = recipe.threshold.false_reject_rate
    thresholds = {p: threshold_from_good(found.scores, found.maxima, rate, method) for p, found in held_out.items()}
    threshold = thresholds[Precision.FP32]
    progress.say(
        f"threshold {threshold.score:.4g} from {threshold.pictures} held-out good pictures: between "
        f"{threshold.false_reject_rate_low:.1%} and {threshold.false_reject_rate_high:.1%} of good parts will be "
        "rejected (95 %)"
    )
    for note in _threshold_notes(threshold):
        progress.say(note)
    return held_out, thresholds


def _threshold_notes(threshold: Threshold) -> tuple[str, ...]:
    note = shortage(threshold)
    return (note,) if note else ()


def _dataset_record(dataset: Dataset, splits: Splits, defects: RealDefects | None) -> DatasetRecord:
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
