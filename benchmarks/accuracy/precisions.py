"""FP32, FP16 and INT8 of bundles on test pictures: all metrics, and how many verdicts differ from those of FP32.

    python -m benchmarks.accuracy.precisions DATA BUNDLE...

DATA holds the datasets that the bundles were built from, by their names. FP16 and INT8 are emulated on the CPU, with
the arithmetic of their types (`edge_calibration.fp16_emulation`). A precision that a bundle does not have,
because it failed the gate, is a row of dashes. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from edge_build.data.dataset import scan_dataset
from edge_build.evaluation.evaluate import evaluate
from edge_build.evaluation.result import Evaluation
from edge_build.graphs.cost import kernels_of
from edge_build.graphs.emulated_engine import emulated_engine
from edge_build.progress import progress_for_stderr
from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.inspection.judge import Judge
from edge_runtime.records import Outcome, Precision

HEAD = (
    "| category | detector | precision | image AUROC | pixel AUROC | AUPRO | pixel AP | missed | false rejects "
    "| verdicts changed | at the gate | estimated | work in INT8 |\n"
    "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every precision of every bundle."""
    options = command_line().parse_args(arguments)
    print(HEAD, flush=True)
    for folder in options.bundles:
        bundle = open_bundle(folder)
        dataset = scan_dataset(options.data / bundle.manifest.dataset.name)
        reference: Evaluation | None = None
        for precision in Precision:
            where = f"| {bundle.manifest.dataset.name} | {bundle.manifest.detector} | {precision.value} |"
            if precision not in bundle.manifest.graphs:
                print(where + " – |" * 10, flush=True)
                continue
            with emulated_engine(bundle.graph(precision), spinning=False) as engine:
                threshold = bundle.threshold(precision)
                judge = Judge(engine, threshold, bundle.viewer())
                found = evaluate(judge, dataset.test, progress_for_stderr(), f"{bundle.label} {precision.value}")
            reference = reference or found
            print(f"{where} {row(bundle, precision, reference, found)} |", flush=True)


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("bundles", type=Path, nargs="+")
    return parser


def row(bundle: Bundle, precision: Precision, reference: Evaluation, found: Evaluation) -> str:
    """The figures of one precision beside FP32's evaluation of the same pictures."""
    metrics, nok = found.metrics(), np.array([outcome is Outcome.NOK for outcome in found.outcomes])
    before = np.array([outcome is Outcome.NOK for outcome in reference.outcomes])
    shares = (metrics.image_auroc, metrics.pixel_auroc, metrics.aupro, metrics.pixel_ap)
    gate = bundle.manifest.graphs[precision].gate
    return " | ".join(
        [
            *("–" if share is None else f"{100 * share:.2f}" for share in shares),
            f"{int((~nok & found.defect).sum())} of {metrics.defect}",
            f"{int((nok & ~found.defect).sum())} of {metrics.good}",
            f"{int((nok != before).sum())} of {len(nok)}",
            "–" if gate is None else f"{gate.verdicts_changed} of {gate.pictures}",
            "–" if gate is None or gate.changed_share is None else f"{gate.changed_share:.1%}",
            f"{int8_share(onnx.load(bundle.graph(precision))):.0%}" if precision is Precision.INT8 else "–",
        ]
    )


def int8_share(model: onnx.ModelProto) -> float:
    """Of the convolutions' multiply-adds, how many are INT8."""
    convolutions = [kernel for kernel in kernels_of(model) if kernel.operator == "Conv"]
    int8 = sum(kernel.multiply_adds for kernel in convolutions if kernel.precision is Precision.INT8)
    return int8 / sum(kernel.multiply_adds for kernel in convolutions)


if __name__ == "__main__":
    main()
