"""Every precision on the held-out good pictures: its threshold, and whether it keeps the verdicts of FP32.

judgement = judge_precisions(splits, graphs_without, prepared, maker, 0.01, "cross-fitted", seed, progress)
graphs = judgement.accepted(maker.graphs(graph))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from edge_build.acceptance.gate import failures, measure_gate
from edge_build.acceptance.held_out import Graphs, HeldOut, score_held_out
from edge_build.data.pictures import PreparedPictures
from edge_build.data.splits import Splits
from edge_build.graphs.precisions import GateResult, PrecisionMaker, gate_text, nothing_to_quantise
from edge_build.progress import Progress
from edge_calibration.threshold import shortage, threshold_from_good
from edge_runtime.bundle.manifest import Threshold
from edge_runtime.records import Precision

NAMED = 3


@dataclass(frozen=True)
class Judgement:
    """held_out, thresholds: of every precision. results: of every one but FP32 at the gate. notes: for people."""

    held_out: Mapping[Precision, HeldOut]
    thresholds: Mapping[Precision, Threshold]
    results: Mapping[Precision, GateResult]
    notes: tuple[str, ...]

    def accepted(self, graphs: Graphs) -> dict[Precision, bytes]:
        """The graphs that may serve: FP32, and what passed the gate."""
        return {p: graph for p, graph in graphs.items() if p not in self.results or not self.results[p].failures}

    def report_to(self, progress: Progress) -> None:
        """The threshold, what it rests on, and the notes: for whoever goes on with this judgement."""
        threshold, named = self.thresholds[Precision.FP32], self.held_out[Precision.FP32].highest[:NAMED]
        highest = ", ".join(f"{high.score:.4g} ({high.picture.path.name})" for high in named)
        progress.say(threshold_text(threshold))
        progress.say(f"the highest of their scores: {highest}; the report shows whether these are good parts")
        for note in self.notes:
            progress.say(note)


def judge_precisions(
    splits: Splits,
    graphs_without: Callable[[int], Graphs],
    prepared: PreparedPictures,
    maker: PrecisionMaker,
    rate: float,
    method: Literal["cross-fitted", "held-out"],
    seed: int,
    progress: Progress,
) -> Judgement:
    """Score the folds and draw the conclusions.

    graphs_without: the graphs that did not learn from a fold. rate, method: see `threshold_from_good`.
    """
    held_out = score_held_out(splits, graphs_without, prepared.of, seed, progress)
    thresholds = {p: threshold_from_good(found.scores, found.maxima, rate, method) for p, found in held_out.items()}
    results = at_the_gate(held_out, thresholds)
    return Judgement(held_out, thresholds, results, tuple(_notes(thresholds[Precision.FP32], maker, results)))


def threshold_text(threshold: Threshold) -> str:
    """A threshold and what it will do, in one line."""
    return (
        f"threshold {threshold.score:.4g} from {threshold.pictures} held-out good pictures: between "
        f"{threshold.false_reject_rate_low:.1%} and {threshold.false_reject_rate_high:.1%} of good parts will be "
        "rejected (95 %)"
    )


def at_the_gate(
    held_out: Mapping[Precision, HeldOut], thresholds: Mapping[Precision, Threshold]
) -> dict[Precision, GateResult]:
    """Every precision but FP32 beside FP32."""
    reference = held_out[Precision.FP32], thresholds[Precision.FP32]
    results: dict[Precision, GateResult] = {}
    for precision, found in held_out.items():
        if precision is not Precision.FP32:
            gate = measure_gate(*reference, found, thresholds[precision])
            results[precision] = GateResult(gate=gate, failures=failures(gate))
    return results


def _notes(threshold: Threshold, maker: PrecisionMaker, results: Mapping[Precision, GateResult]) -> list[str]:
    short = shortage(threshold)
    notes = [*([short] if short else []), *(gate_text(precision, result) for precision, result in results.items())]
    if maker.plan is not None and not maker.plan.quantised:
        notes.append(nothing_to_quantise(maker.plan))
    return notes
