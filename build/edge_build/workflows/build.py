"""From a recipe to a bundle. `build()` is the whole way, top to bottom.

built = build(read_recipe(Path("screw.yaml")), recipe_text, Path("bundles"), progress)
print(built.folder)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.acceptance.held_out import Graphs
from edge_build.acceptance.judgement import Judgement, judge_precisions
from edge_build.acceptance.learning_curve import pairs_of
from edge_build.bundling.pack import BundleContents, pack
from edge_build.bundling.training_record import training_record_of, with_set_on
from edge_build.bundling.writer import DEVICE_TOLERANCE
from edge_build.checkpoint import Unfinished, open_unfinished
from edge_build.data.dataset import fingerprint
from edge_build.data.pictures import GOOD, Picture
from edge_build.detectors.patchcore.learner import PatchcoreLearner
from edge_build.detectors.protocol import Detector, Learner
from edge_build.evaluation.evaluate import evaluate
from edge_build.evaluation.result import Evaluation
from edge_build.evaluation.summary import figures
from edge_build.graphs.emulated_engine import emulated_engine
from edge_build.graphs.export import export_graph
from edge_build.graphs.parity import Parity, golden_pictures, prove_parity
from edge_build.graphs.precisions import GateResult, PrecisionMaker
from edge_build.progress import Progress
from edge_build.recipe.recipe import Recipe
from edge_build.stages import Stages
from edge_build.views.learn import golden_frames
from edge_build.views.where import where_judged
from edge_build.workflows.build_inputs import (
    BuildInputs,
    GoodPictures,
    find_inputs,
    read_good_pictures,
    refuse_at_once,
)
from edge_build.workflows.build_stages import INT8, JUDGING, LEARNING, MEASURING, PACKING, PICTURES, stages_of
from edge_build.workflows.screening import threshold_without_suspects
from edge_runtime.bundle.manifest import Dataset as DatasetRecord
from edge_runtime.bundle.manifest import Figures, Golden, GraphEntry, Manifest, Record, Threshold
from edge_runtime.imaging.preprocess import PREPROCESSING
from edge_runtime.imaging.view import ViewRecord
from edge_runtime.inspection.judge import Judge
from edge_runtime.records import Inspection, Precision


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
class Measurements:
    """golden_pictures: uint8 (n, H, W, 3). golden: what every graph measured on them. evaluations: of test pictures;
    empty without any."""

    golden_pictures: NDArray[np.uint8]
    parity: Parity
    golden: Mapping[Precision, Sequence[Inspection]]
    evaluations: Mapping[Precision, Evaluation]


def build(
    recipe: Recipe,
    recipe_text: str,
    out: Path,
    progress: Progress,
    *,
    resume: bool = False,
    thorough: bool = False,
    exclude_suspects: bool = False,
) -> Built:
    """Learn, export, set the threshold, prove, measure and pack. Raises an EdgeError that says what to do.

    resume: go on with a build that was interrupted. thorough: take more time to learn, if the detector can use it.
    exclude_suspects: learn nothing from good pictures that do not look like the others.
    The test pictures are measured last, and nothing is chosen on them.
    """
    started = time.monotonic()
    refuse_at_once(recipe, out, thorough)
    stages = Stages(stages_of(recipe), progress)
    stages.begin(PICTURES)
    inputs = find_inputs(recipe, recipe_text, thorough, progress, exclude_suspects)
    with open_unfinished(out / f"{recipe.label}.unfinished", inputs.provenance, resume, progress) as unfinished:
        inputs, good = read_good_pictures(inputs, progress)
        stages.begin(LEARNING)
        learner = _learner(inputs, good, unfinished, progress)
        known = good.known(learner.compares)
        detector = _learned(inputs, learner, good.train_rows(), good.prepared.rows(known))
        graph = export_graph(detector, *inputs.viewer.size)
        if Precision.INT8.value in recipe.precisions:
            stages.begin(INT8)
        maker = PrecisionMaker(recipe.precisions, recipe.calibration, graph, good.calibration, recipe.seed, progress)
        judgement = _judge(inputs, good, learner, graph, maker, stages, progress)
        without = threshold_without_suspects(judgement, good.splits, good.suspects)
        if without is not None:
            progress.say(without)
            judgement = replace(judgement, notes=(*judgement.notes, without))
        graphs = judgement.accepted(maker.graphs(graph))
        stages.begin(MEASURING)
        measured = _measure(inputs, good, detector, graphs, judgement, progress)
        stages.begin(PACKING)
        view, view_files = golden_frames(inputs.viewer, good.splits.calibration)
        contents = _contents(inputs, good, known, detector, graphs, maker, judgement, measured, view_files)
        describe = partial(_manifest, inputs, good, measured.evaluations, view)
        manifest = pack(out, recipe.label, contents, describe)
    return _built(out, manifest, detector, contents, measured, time.monotonic() - started)


def _learner(inputs: BuildInputs, good: GoodPictures, unfinished: Unfinished, progress: Progress) -> Learner:
    """What the recipe's `detector` names."""
    recipe, pictures = inputs.recipe, good.prepared.all()
    if recipe.detector == "patchcore":
        return PatchcoreLearner(pictures, recipe.patchcore, recipe.seed, progress)
    # both need scikit-learn, which takes a second: PatchCore needs none
    from edge_build.detectors.combined.learner import CombinedLearner
    from edge_build.detectors.cpr.learner import CprLearner
    from edge_build.detectors.cpr.model import DIMENSIONS

    if recipe.detector == "combined":
        return CombinedLearner(
            pictures,
            recipe.combined,
            recipe.cpr,
            recipe.seed,
            progress,
            work=unfinished,
            thorough=inputs.thorough,
            defects=inputs.defects,
            part=inputs.part,
        )
    return CprLearner(
        pictures,
        recipe.cpr,
        DIMENSIONS[recipe.detector],
        recipe.seed,
        progress,
        work=unfinished,
        thorough=inputs.thorough,
        defects=inputs.defects,
        part=inputs.part,
    )


def _learned(inputs: BuildInputs, learner: Learner, rows: Sequence[int], known: Sequence[int]) -> Detector:
    """A detector that judges nothing where the view says so."""
    detector, ignored = learner.learn(rows, known), inputs.viewer.view.ignore
    if ignored is not None:
        detector.ignore(ignored)
    return detector


def _judge(
    inputs: BuildInputs,
    good: GoodPictures,
    learner: Learner,
    graph: bytes,
    maker: PrecisionMaker,
    stages: Stages,
    progress: Progress,
) -> Judgement:
    """Every precision on held-out pictures, which no graph that scores them has learned from."""

    def graph_without(*folds: int) -> bytes:
        stages.next_part()
        known = good.prepared.rows(good.known(learner.compares, *folds))
        return export_graph(_learned(inputs, learner, good.train_rows(*folds), known), *inputs.viewer.size)

    settings = inputs.recipe.threshold
    fitted = learner.compares or settings.method == "cross-fitted"  # again for every fold
    count = len(good.splits.folds)
    stages.begin(JUDGING, parts=count + len(pairs_of(count)) if fitted else 1)
    # what compares with the held-out pictures knows more when it serves than when it judged them
    method = "cross-fitted" if learner.compares else settings.method
    judgement = judge_precisions(
        good.splits,
        lambda fold: maker.graphs(graph_without(fold) if fitted else graph),
        good.prepared,
        maker,
        settings.false_reject_rate,
        method,
        inputs.recipe.seed,
        progress,
        graph_without if fitted else None,
        judged=where_judged(inputs.viewer.view),
    )
    judgement.report_to(progress)
    return judgement


def _measure(
    inputs: BuildInputs,
    good: GoodPictures,
    detector: Detector,
    graphs: Graphs,
    judgement: Judgement,
    progress: Progress,
) -> Measurements:
    """Prove FP32 against torch, and measure every graph on the golden and the test pictures."""
    golden = golden_pictures(good.calibration, inputs.recipe.golden.pictures)
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
            if test := inputs.dataset.test:
                judge = Judge(engine, threshold, inputs.viewer, limits=good.frames, part_limits=inputs.part_limits)
                evaluations[precision] = evaluate(judge, test, progress, f"evaluate {precision.value}")
    return Measurements(golden, parity, on_golden, evaluations)


def _contents(
    inputs: BuildInputs,
    good: GoodPictures,
    known: Sequence[Picture],
    detector: Detector,
    graphs: Graphs,
    maker: PrecisionMaker,
    judgement: Judgement,
    measured: Measurements,
    view_files: Mapping[str, bytes],
) -> BundleContents:
    return BundleContents(
        graphs,
        measured.golden_pictures,
        measured.golden,
        judgement,
        maker,
        good.splits.calibration,
        training=with_set_on(training_record_of((*good.splits.train, *known)), good.splits.held_out),
        root=inputs.dataset.root,
        notes=(*inputs.notes, *detector.notes, *judgement.notes),
        parity=measured.parity,
        evaluations=measured.evaluations,
        examples=detector.examples,
        suspects=good.suspects,
        real_defects=len(inputs.defects or ()),
        view=view_files,
    )


def _manifest(
    inputs: BuildInputs,
    good: GoodPictures,
    evaluations: Mapping[Precision, Evaluation],
    view: ViewRecord | None,
    golden: tuple[Golden, ...],
    graphs: Mapping[Precision, GraphEntry],
) -> Manifest:
    recipe = inputs.recipe
    return Manifest(
        schema_version=1,
        name=recipe.name,
        version=recipe.version,
        detector=recipe.detector,
        backbone=recipe.active.backbone,
        height=inputs.viewer.height,
        width=inputs.viewer.width,
        preprocessing=PREPROCESSING,
        graphs=dict(graphs),
        golden=golden,
        tolerance=DEVICE_TOLERANCE,
        dataset=_dataset_record(inputs, good),
        figures={precision: figures(evaluation) for precision, evaluation in evaluations.items()},
        recipe=inputs.recipe_text,
        seed=recipe.seed,
        builder=inputs.builder,
        frames=good.frames,
        view=view,
        files={},
    )


def _dataset_record(inputs: BuildInputs, good: GoodPictures) -> DatasetRecord:
    dataset, splits, defects = inputs.dataset, good.splits, inputs.defects
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


def _built(
    out: Path, manifest: Manifest, detector: Detector, contents: BundleContents, measured: Measurements, seconds: float
) -> Built:
    label, evaluation = manifest.label, measured.evaluations.get(Precision.FP32)
    return Built(
        folder=str(out / label),
        bundle=label,
        bank_entries=detector.entries,
        dimensions=detector.dimensions,
        threshold=contents.judgement.thresholds[Precision.FP32],
        figures=manifest.figures.get(Precision.FP32),
        not_judged=0 if evaluation is None else int((~evaluation.judged).sum()),
        precisions=tuple(contents.graphs),
        results=dict(contents.judgement.results),
        parity_score=measured.parity.score,
        parity_map=measured.parity.map,
        seconds=round(seconds, 1),
        notes=contents.notes,
    )
