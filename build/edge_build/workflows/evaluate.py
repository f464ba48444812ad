"""`edge-build evaluate`: a bundle measured on a dataset's pictures, by the engine that was asked for.

wanted = WantedEngine(EngineKind.ONNXRUNTIME, Precision.INT8)
summary = evaluate_bundle(Path("bundles/screw-1"), Path("screw"), wanted, progress)
print(summary_text(summary))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge_build.data.dataset import scan_dataset
from edge_build.data.pictures import DatasetError
from edge_build.evaluation.evaluate import evaluate
from edge_build.evaluation.result import save_scores
from edge_build.evaluation.summary import Summary, summarize
from edge_build.graphs.emulated_engine import EMULATED, emulated_engine
from edge_build.progress import Progress
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
    folder: Path, dataset_root: Path, wanted: WantedEngine, progress: Progress, scores_file: Path | None = None
) -> Summary:
    """Check the bundle, measure the dataset's test pictures, and write scores and maps if a file is given for them.

    Without test pictures the good ones are measured, and the summary says so. Raises EdgeError of the kind that fits.
    """
    notes = (EMULATED,) if wanted.emulated else ()
    return measure_bundle(
        folder, dataset_root, partial(_opened, wanted, progress), wanted.precision, progress, scores_file, notes
    )


def measure_bundle(
    folder: Path,
    dataset_root: Path,
    open_engine: Callable[[Bundle], Engine],
    precision: Precision,
    progress: Progress,
    scores_file: Path | None = None,
    notes: tuple[str, ...] = (),
) -> Summary:
    """`evaluate_bundle` with any engine. open_engine: loads the bundle's graph. notes: first in the summary."""
    bundle = open_bundle(folder)
    dataset = scan_dataset(dataset_root, progress)
    notes = (*notes, *(() if dataset.test else (LEARNED_FROM,)), *dataset.notes)
    bundle.graph(precision)  # raises before anything is loaded
    with open_engine(bundle) as engine:
        judge = judge_of(bundle, engine, precision)
        evaluation = evaluate(judge, dataset.test or dataset.good, progress)
    if scores_file is not None:
        save_scores(scores_file, evaluation, dataset_root)
    return summarize(evaluation, bundle.label, precision, dataset_root, notes)


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


def require_judged(summary: Summary, folder: Path, dataset_root: Path) -> None:
    """Raises DatasetError when there were pictures, and all are beyond the limits of frames."""
    if summary.nothing_judged:
        raise DatasetError(
            f"nothing was judged: all pictures of {dataset_root} are beyond the limits of frames of {folder}; take "
            "pictures of the camera, light and region that it was built for, or fit it to these "
            "(`edge-build calibrate`)"
        )


def _opened(wanted: WantedEngine, progress: Progress, bundle: Bundle) -> Engine:
    if wanted.emulated:
        return emulated_engine(bundle.graph_bytes(wanted.precision), wanted.threads)
    chosen = choose_engine(wanted.kind, bundle, wanted.precision, wanted.engines, wanted.threads)
    progress.say(f"engine: {chosen.engine.name}, {chosen.why}")
    return chosen.engine
