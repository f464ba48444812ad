"""Every precision on the held-out good pictures: its threshold, and whether it keeps the verdicts of FP32.

judgement = judge_precisions(splits, graphs_without, prepared, maker, 0.01, "cross-fitted", seed, progress)
graphs = judgement.accepted(maker.graphs(graph))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_build.acceptance.gate import failures, measure_gate
from edge_build.acceptance.held_out import Graphs, HeldOut, score_held_out
from edge_build.acceptance.learning_curve import Correction, Counts, factor_when_serving, mean_known, pairs_of
from edge_build.data.pictures import PreparedPictures
from edge_build.data.splits import Splits
from edge_build.graphs.precisions import GateResult, PrecisionMaker, gate_text
from edge_build.progress import Progress
from edge_calibration.tail import tail_text
from edge_calibration.threshold import shortage, threshold_from_good, threshold_like
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
        progress.say(threshold_text(threshold, self.held_out[Precision.FP32].scores))
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
    graph_without: Callable[..., bytes] | None = None,
    judged: NDArray[np.bool_] | None = None,
) -> Judgement:
    """Score the folds and draw the conclusions. While the gate refuses INT8, less and less is left in INT8.

    graphs_without: the graphs that did not learn from a fold. rate, method: see `threshold_from_good`.
    graph_without: FP32's without several folds, by which scores become those of the detector that serves; None when
    the detectors that judge know what that one knows.
    judged: where the gate makes up defects, (H, W); None for anywhere.
    """
    fp32: dict[int, bytes] = {}  # of every fold, for INT8's next tries

    def remembered(fold: int) -> Graphs:
        graphs = graphs_without(fold)
        if Precision.INT8 in graphs:
            fp32[fold] = graphs[Precision.FP32]
        return graphs

    measured = score_held_out(splits, remembered, prepared.of, seed, progress, judged=judged)
    correction, why = correction_when_serving(splits, measured[Precision.FP32], graph_without, prepared, seed, progress)
    held_out = {precision: found.corrected(correction) for precision, found in measured.items()}
    while True:
        thresholds = thresholds_of(held_out, rate, method)
        results = at_the_gate(held_out, thresholds)
        refused = results.get(Precision.INT8)
        if refused is None or not refused.failures or not maker.give_up_some_int8():
            break
        progress.say(f"INT8 once more, with less of it: {'; '.join(refused.failures)}")

        def again(fold: int) -> Graphs:
            graphs = maker.graphs(fp32[fold])
            return {Precision.FP32: graphs[Precision.FP32], Precision.INT8: graphs[Precision.INT8]}

        tried = score_held_out(splits, again, prepared.of, seed, progress, judged=judged)
        held_out = {**held_out, Precision.INT8: tried[Precision.INT8].corrected(correction)}
    return Judgement(held_out, thresholds, results, (*why, *_notes(thresholds[Precision.FP32], results)))


def correction_when_serving(
    splits: Splits,
    held_out: HeldOut,
    graph_without: Callable[..., bytes] | None,
    prepared: PreparedPictures,
    seed: int,
    progress: Progress,
) -> tuple[Correction, tuple[str, ...]]:
    """What held-out scores are multiplied by to be those of the detector that serves, and that in words, if anything.

    held_out: what FP32 graphs without one fold each measured.
    """
    pairs = pairs_of(len(splits.folds))
    if graph_without is None or not pairs:
        return Correction(), ()
    merged = splits.merged(pairs)
    lacking = score_held_out(
        merged,
        lambda pair: {Precision.FP32: graph_without(*pairs[pair])},
        prepared.of,
        seed,
        progress,
        "scores with fewer pictures",
    )[Precision.FP32]
    place = {picture: number for number, picture in enumerate(p for fold in merged.folds for p in fold)}
    order = [place[picture] for fold in splits.folds for picture in fold]
    known, folds = len({*splits.train, *splits.known_without()}), [len(fold) for fold in splits.folds]
    singles = [(number,) for number in range(len(folds))]
    counts = Counts(mean_known(known, folds, pairs), mean_known(known, folds, singles), known)
    correction = Correction(
        scores=factor_when_serving(held_out.scores, lacking.scores[order], counts),
        maxima=factor_when_serving(held_out.maxima, lacking.maxima[order], counts),
    )
    if correction.scores == 1.0:
        return correction, ()
    return correction, (
        f"held-out scores are taken {1 - correction.scores:.1%} lower: so much less strange are good pictures to the "
        f"detector that serves, which knows {known}, than to those that judged, which know {counts.one:.0f}",
    )


def thresholds_of(
    held_out: Mapping[Precision, HeldOut], rate: float, method: Literal["cross-fitted", "held-out"]
) -> dict[Precision, Threshold]:
    """FP32's from its held-out good pictures, and the same on the scale of every other precision."""
    reference = held_out[Precision.FP32]
    fp32 = threshold_from_good(reference.scores, reference.maxima, rate, method)
    found = {Precision.FP32: fp32}
    for precision, tested in held_out.items():
        if precision is not Precision.FP32:
            scores = (
                np.concatenate([reference.scores, reference.trial_scores]),
                np.concatenate([tested.scores, tested.trial_scores]),
            )
            found[precision] = threshold_like(fp32, scores, (reference.maxima, tested.maxima))
    return found


def threshold_text(threshold: Threshold, scores: NDArray[np.floating]) -> str:
    """A threshold and what it will do, in one line. scores: those that it was set on, (n,)."""
    fitted = tail_text(scores, threshold.score, threshold.false_reject_rate)
    return (
        f"threshold {threshold.score:.4g} from {threshold.pictures} held-out good pictures: between "
        f"{threshold.false_reject_rate_low:.1%} and {threshold.false_reject_rate_high:.1%} of good parts will be "
        "rejected (95 %)" + (f"; {fitted}" if fitted else "")
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


def _notes(threshold: Threshold, results: Mapping[Precision, GateResult]) -> list[str]:
    short = shortage(threshold)
    return [*([short] if short else []), *(gate_text(precision, result) for precision, result in results.items())]
