"""`edge-build evaluate`: a bundle measured on a dataset's pictures, by the engine that was asked for.

wanted = WantedEngine(EngineKind.ONNXRUNTIME, Precision.INT8)
summary = evaluate_bundle(Path("bundles/screw-1"), Path("screw"), wanted, progress)
print(summary_text(summary))

What a picture shows is never guessed: a dataset's layout says it, or the folders are named (`NamedFolders`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge_build.bundling.training_record import seen_before
from edge_build.data.dataset import Dataset, scan_named, scan_test
from edge_build.data.layouts.named import NamedFolders
from edge_build.data.pictures import DatasetError
from edge_build.evaluation.evaluate import evaluate
from edge_build.evaluation.result import name_in, save_scores
from edge_build.evaluation.summary import Summary, summarize
from edge_build.graphs.emulated_engine import EMULATED, emulated_engine
from edge_build.progress import Progress
from edge_build.report.evaluation_page import write_evaluation_page
from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.engines.protocol import ENGINES, Engine, EngineKind
from edge_runtime.engines.selection import choose_engine
from edge_runtime.imaging.view import UNLIMITED
from edge_runtime.inspection.frame_checks import FIXED_LIMITS
from edge_runtime.inspection.judge import Judge
from edge_runtime.records import Precision

LEARNED_FROM = (
    "There are no test pictures: the good ones were measured. If the detector learned from them, false rejects are "
    "fewer here than they will be on the line."
)


@dataclass(frozen=True)
class WantedFiles:
    """What to write: scores and maps for other programs (.npz), and a page for people (.html)."""

    scores: Path | None = None
    page: Path | None = None


@dataclass(frozen=True)
class WantedEngine:
    """What measures. engines: where this device keeps its compiled ones. threads: of the engine; 0: one per core."""

    kind: EngineKind
    precision: Precision = Precision.FP32
    engines: Path = ENGINES
    threads: int = 0

    @property
    def emulated(self) -> bool:
        """Whether a CPU computes what a device with FP16 or INT8 units would."""
        return self.kind is EngineKind.ONNXRUNTIME and self.precision is not Precision.FP32


def evaluate_bundle(
    folder: Path,
    pictures: Path | NamedFolders,
    wanted: WantedEngine,
    progress: Progress,
    files: WantedFiles = WantedFiles(),
) -> Summary:
    """Check the bundle, measure a dataset's test pictures or those of named folders, and write what is asked for.

    Of a dataset without test pictures the good ones are measured, and the summary says so. Raises EdgeError of the kind
    that fits; for a plain folder too, as nothing says what its pictures show.
    """
    notes = (EMULATED,) if wanted.emulated else ()
    return measure_bundle(
        folder, pictures, partial(open_wanted, wanted, progress), wanted.precision, progress, files, notes
    )


def measure_bundle(
    folder: Path,
    pictures: Path | NamedFolders,
    open_engine: Callable[[Bundle], Engine],
    precision: Precision,
    progress: Progress,
    files: WantedFiles = WantedFiles(),
    notes: tuple[str, ...] = (),
) -> Summary:
    """`evaluate_bundle` with any engine. open_engine: loads the bundle's graph. notes: first in the summary."""
    bundle = open_bundle(folder)
    dataset = scan_test(pictures, progress) if isinstance(pictures, Path) else scan_named(pictures, progress)
    notes = (*notes, *(() if dataset.test else (LEARNED_FROM,)), *seen_note(bundle, dataset), *dataset.notes)
    bundle.graph(precision)  # raises before anything is loaded
    with open_engine(bundle) as engine:
        judge = judge_of(bundle, engine, precision)
        evaluation = evaluate(judge, dataset.test or dataset.good, progress)
    if files.scores is not None:
        save_scores(files.scores, evaluation, dataset.root)
    summary = summarize(evaluation, bundle.label, precision, dataset.root, notes)
    if files.page is not None:
        write_evaluation_page(files.page, summary, evaluation, dataset.root, bundle.manifest, bundle.viewer())
    return summary


def seen_note(bundle: Bundle, dataset: Dataset) -> tuple[str, ...]:
    """That the bundle knows some of the pictures, if it does: figures with them are too good."""
    seen = seen_before(bundle, dataset.test)
    if not seen:
        return ()
    return (
        f"warning: {len(seen)} of {len(dataset.test)} test pictures are among those that {bundle.label} learned from "
        f"or set its thresholds on, the first is {name_in(dataset.root, seen[0])}: figures with them are better than "
        "what the line will see",
    )


def judge_of(bundle: Bundle, engine: Engine, precision: Precision) -> Judge:
    """What decides with a bundle's own limits."""
    manifest = bundle.manifest
    return Judge(
        engine,
        bundle.threshold(precision),
        bundle.viewer(),
        limits=manifest.frames or FIXED_LIMITS,
        part_limits=UNLIMITED if manifest.view is None else manifest.view.limits,
    )


def require_judged(summary: Summary, folder: Path, pictures: Path | NamedFolders) -> None:
    """Raises DatasetError when there were pictures, and all are beyond the limits of frames."""
    if summary.nothing_judged:
        raise DatasetError(
            f"nothing was judged: all pictures of {pictures} are beyond the limits of frames of {folder}; take "
            "pictures of the camera, light and region that it was built for, or fit it to these "
            "(`edge-build calibrate`)"
        )


def open_wanted(wanted: WantedEngine, progress: Progress, bundle: Bundle) -> Engine:
    """The bundle's graph in the engine that was asked for; why that one is logged."""
    if wanted.emulated:
        return emulated_engine(bundle.graph_bytes(wanted.precision), wanted.threads)
    chosen = choose_engine(wanted.kind, bundle, wanted.precision, wanted.engines, wanted.threads)
    progress.say(f"engine: {chosen.engine.name}, {chosen.why}")
    return chosen.engine
