"""`edge-build calibrate --false-reject` without pictures: a bundle for another rate, from the same held-out scores.

Every graph, golden value and range is copied. The thresholds follow again from the scores that the bundle keeps
(held_out_scores.py), and with them whether FP16 and INT8 keep the verdicts of FP32.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge_build.acceptance.gate import estimated_changes, failures, verdicts_changed
from edge_build.acceptance.judgement import threshold_text
from edge_build.bundling.held_out_scores import PrecisionScores, read_held_out_scores
from edge_build.bundling.writer import new_bundle, tolerance_from, write_manifest
from edge_build.data.pictures import DatasetError
from edge_build.graphs.precisions import GateResult, gate_text
from edge_build.progress import Progress
from edge_build.report.page import REPORT, ReportData, write_report
from edge_build.workflows.derived import Recalibrated, change_text, derived_manifest, open_parent, passed_negative
from edge_calibration.int8_plan import Int8Plan
from edge_calibration.threshold import shortage, threshold_from_good, threshold_like
from edge_runtime.bundle.manifest import GraphEntry, Manifest, Threshold
from edge_runtime.bundle.reader import Bundle
from edge_runtime.engines.golden import read_golden
from edge_runtime.engines.tensorrt.implicit_int8 import PLAN
from edge_runtime.records import Inspection, Precision


def set_rate(folder: Path, rate: float, version: str, out: Path, progress: Progress) -> Recalibrated:
    """Make the bundle `out/<name>-<version>` from the one in `folder`, for that share of rejected good parts.

    Raises an EdgeError that says what to do.
    """
    bundle, label = open_parent(folder, version, out)
    held_out = read_held_out_scores(bundle)
    thresholds = _thresholds(bundle, held_out, rate)
    _refuse(bundle, thresholds[Precision.FP32])
    results = _at_the_gate(bundle, held_out, thresholds)
    notes = tuple(_notes(bundle, thresholds[Precision.FP32], results))
    scores = np.array(held_out[Precision.FP32].scores)
    for line in (threshold_text(thresholds[Precision.FP32], scores), *notes):
        progress.say(line)
    graphs = {
        precision: _entry(bundle, precision, thresholds[precision], results.get(precision))
        for precision in held_out
        if precision not in results or not results[precision].failures
    }
    with new_bundle(out, label) as new:
        manifest = derived_manifest(bundle, version, None, {}, graphs=graphs)
        _copy_files(bundle, new, manifest)
        write_report(new / REPORT, _report_data(bundle, manifest, held_out, results, notes))
        write_manifest(new, manifest)
    return Recalibrated(
        folder=str(out / label),
        bundle=label,
        precisions=tuple(graphs),
        thresholds={precision: entry.threshold for precision, entry in graphs.items()},
        results=results,
        notes=notes,
    )


def _thresholds(
    bundle: Bundle, held_out: Mapping[Precision, PrecisionScores], rate: float
) -> dict[Precision, Threshold]:
    """FP32's for that rate, and the same on the scale of every other precision."""
    reference = {name: np.array(values) for name, values in held_out[Precision.FP32]}
    method = bundle.threshold(Precision.FP32).method
    fp32 = threshold_from_good(reference["scores"], reference["maxima"], rate, method)
    found = {Precision.FP32: fp32}
    for precision, scores in held_out.items():
        if precision is not Precision.FP32:
            before = np.concatenate([reference["scores"], reference["trial_scores"]])
            after = np.array([*scores.scores, *scores.trial_scores])
            maxima = reference["maxima"], np.array(scores.maxima)
            found[precision] = threshold_like(fp32, (before, after), maxima)
    return found


def _refuse(bundle: Bundle, new: Threshold) -> None:
    """Raises DatasetError for a rate that these pictures cannot give, or that would pass what is no part."""
    old = bundle.threshold(Precision.FP32)
    if new.score == old.score:
        raise DatasetError(
            f"--false-reject {new.false_reject_rate:g} gives {bundle.label} the threshold that it has "
            f"({old.score:.4g}): its {new.pictures} held-out good pictures reject at most "
            f"{new.false_reject_rate_guaranteed:.2%} on average either way. Recalibrate with more pictures, or choose "
            "a rate that the report's table tells apart"
        )
    if (negative := passed_negative(bundle, new)) is not None:
        raise DatasetError(
            f"--false-reject {new.false_reject_rate:g} takes a threshold ({new.score:.4g}) that would pass a picture "
            f"that no part looks like, the golden negative of {bundle.label} ({negative:.4g}): choose a higher rate"
        )


def _at_the_gate(
    bundle: Bundle, held_out: Mapping[Precision, PrecisionScores], thresholds: Mapping[Precision, Threshold]
) -> dict[Precision, GateResult]:
    """How every precision but FP32 does now: other thresholds may change other verdicts, and nothing else."""
    results = {}
    trials = {precision: np.array(scores.trial_scores) for precision, scores in held_out.items()}
    reference = trials[Precision.FP32], thresholds[Precision.FP32]
    for precision, entry in bundle.manifest.graphs.items():
        if entry.gate is not None:
            pairs = (*reference, trials[precision], thresholds[precision])
            share, near = estimated_changes(*pairs)
            gate = entry.gate.with_changes(
                verdicts_changed=verdicts_changed(*pairs), near_ties=near, changed_share=share
            )
            results[precision] = GateResult(gate=gate, failures=failures(gate))
    return results


def _notes(bundle: Bundle, new: Threshold, results: Mapping[Precision, GateResult]) -> list[str]:
    old, short = bundle.threshold(Precision.FP32), shortage(new)
    rates = f"false-reject rate {old.false_reject_rate:.2%} before, {new.false_reject_rate:.2%} now"
    notes = [f"{change_text(old, new)}; {rates}", *([short] if short else [])]
    return notes + [gate_text(precision, result) for precision, result in results.items()]


def _entry(bundle: Bundle, precision: Precision, threshold: Threshold, result: GateResult | None) -> GraphEntry:
    entry = bundle.manifest.graphs[precision].with_changes(threshold=threshold)
    if result is None:
        return entry
    fp32, own = _golden(bundle, Precision.FP32), _golden(bundle, precision)
    return entry.with_changes(tolerance=tolerance_from(fp32, own, threshold), gate=result.gate)


def _golden(bundle: Bundle, precision: Precision) -> list[Inspection]:
    return [read_golden(bundle, golden)[1] for golden in bundle.manifest.golden_of(precision)]


def _copy_files(bundle: Bundle, new: Path, manifest: Manifest) -> None:
    """All but the report, and what belongs to precisions that are left out alone."""
    left_out = _graph_files(bundle.manifest) - _graph_files(manifest)
    for name in bundle.manifest.files.keys() - left_out - {REPORT}:
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.folder / name, new / name)


def _graph_files(manifest: Manifest) -> set[str]:
    golden = (golden.anomaly_map for precision in manifest.graphs for golden in manifest.golden_of(precision))
    return {*golden, *(entry.file for entry in manifest.graphs.values())}


def _report_data(
    bundle: Bundle,
    manifest: Manifest,
    held_out: Mapping[Precision, PrecisionScores],
    results: Mapping[Precision, GateResult],
    notes: tuple[str, ...],
) -> ReportData:
    plan = bundle.record(PLAN, Int8Plan, "a plan of INT8") if PLAN in manifest.files else None
    return ReportData(
        manifest,
        held_out={precision: np.array(held_out[precision].scores) for precision in manifest.graphs},
        evaluations={},
        parity=None,
        notes=notes,
        root=bundle.folder,
        results=results,
        plan=plan,
        before=bundle.manifest,
    )
