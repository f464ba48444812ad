"""`edge-build compare`: bundles side by side on the same test pictures.

folders = [Path("bundles/screw-1"), Path("bundles/screw-2")]
comparison = compare_bundles(folders, Path("screw"), wanted, 0.05, 0, progress)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_build.data.dataset import scan_test
from edge_build.evaluation.comparison import Comparison, compare
from edge_build.evaluation.evaluate import evaluate
from edge_build.evaluation.result import Evaluation
from edge_build.progress import Progress
from edge_build.report.comparison_page import write_comparison_page
from edge_build.workflows.evaluate import WantedEngine, judge_of, open_wanted, seen_note
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.errors import ConfigError


def compare_bundles(
    folders: Sequence[Path],
    dataset_root: Path,
    wanted: WantedEngine,
    rate: float,
    seed: int,
    progress: Progress,
    page: Path | None = None,
) -> Comparison:
    """Measure every bundle on the dataset's test pictures, and write the page if one is asked for.

    Raises ConfigError for bundles that cannot be told apart, and otherwise the EdgeError that fits.
    """
    bundles = [open_bundle(folder) for folder in folders]
    labels = [bundle.label for bundle in bundles]
    if len(set(labels)) < max(len(labels), 2):
        raise ConfigError(
            f"found {', '.join(labels)}: to compare takes at least two bundles, each of another name or version"
        )
    for bundle in bundles:
        bundle.graph(wanted.precision)  # raises before anything is measured
    dataset = scan_test(dataset_root, progress)
    notes = [*dataset.notes]
    evaluations: dict[str, Evaluation] = {}
    for bundle in bundles:
        notes += seen_note(bundle, dataset)
        with open_wanted(wanted, progress, bundle) as engine:
            judge = judge_of(bundle, engine, wanted.precision)
            evaluations[bundle.label] = evaluate(judge, dataset.test, progress, f"evaluate {bundle.label}")
    comparison = compare(evaluations, dataset.root, rate, seed, tuple(notes))
    if page is not None:
        write_comparison_page(page, comparison, evaluations, dataset.root)
    return comparison
