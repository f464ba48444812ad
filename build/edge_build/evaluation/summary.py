"""What an evaluation amounts to: figures for the manifest, and a richer summary (`edge-build evaluate --json`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import betaincinv  # the quantile of Beta; scipy.stats takes a second to import

from edge_build.data.pictures import GOOD
from edge_build.detection_metrics import Metrics
from edge_build.evaluation.result import Evaluation, name_in
from edge_runtime.bundle.manifest import Figures, Record, Share, Threshold
from edge_runtime.records import ErrorCode, FrameFault, Outcome, Precision


class Latency(Record):
    """Milliseconds from a picture in memory to its measurement (preprocess and infer), over all pictures."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Detection(Record):
    """How many judged pictures of a kind (a defect's name, or `good`) were NOK, with the 95 % interval of their share.

    pictures = judged + errors. The interval is all of 0..1 when none was judged.
    """

    kind: str
    pictures: int
    judged: int
    nok: int
    errors: int
    nok_share_low: Share
    nok_share_high: Share
    median_score: float  # raw


class NotJudged(Record):
    """Pictures beyond one limit of frames: what a line answers to them, and the first of them with its reason."""

    code: ErrorCode
    pictures: int
    first: str
    reason: str


class Summary(Record):
    """`edge-build evaluate --json`. Pictures are named relative to the dataset.

    figures: the metrics are of all pictures; misses and false rejects can only be among the judged ones.
    """

    bundle: str
    engine: str
    precision: Precision
    dataset: str
    threshold: Threshold
    figures: Figures
    masked: int  # defect pictures with a mask; they and the good ones make the pixel metrics
    defect_regions: int
    kinds: tuple[Detection, ...]  # good first
    missed: tuple[str, ...]  # lowest score first
    false_rejects: tuple[str, ...]  # highest score first
    errors: tuple[str, ...]  # pictures beyond the limits of frames, which a line would not judge
    judged_good: int
    judged_defect: int
    not_judged: tuple[NotJudged, ...]  # the commonest first
    latency: Latency | None  # None when nothing was measured
    notes: tuple[str, ...] = Field(default=())

    @property
    def nothing_judged(self) -> bool:
        """Whether there were pictures and all are beyond the limits of frames."""
        return bool(self.errors) and self.judged_good + self.judged_defect == 0


def figures(evaluation: Evaluation, metrics: Metrics | None = None) -> Figures:
    """The figures of the manifest. `metrics`: when they were computed already."""
    metrics = metrics or evaluation.metrics()
    return Figures(
        image_auroc=metrics.image_auroc,
        pixel_auroc=metrics.pixel_auroc,
        aupro=metrics.aupro,
        pixel_ap=metrics.pixel_ap,
        false_rejects=len(false_rejects(evaluation)),
        missed_defects=len(missed(evaluation)),
        good=metrics.good,
        defect=metrics.defect,
    )


def missed(evaluation: Evaluation) -> list[int]:
    """Indices of the defects that were judged OK, lowest score first."""
    return _ranked(evaluation, evaluation.defect, Outcome.OK)


def false_rejects(evaluation: Evaluation) -> list[int]:
    """Indices of the good pictures that were judged NOK, highest score first."""
    return _ranked(evaluation, ~evaluation.defect, Outcome.NOK)[::-1]


def share_interval(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Clopper and Pearson, 1934). All of 0..1 when nothing was counted."""
    low = 0.0 if hits == 0 else float(betaincinv(hits, count - hits + 1, 0.025))
    high = 1.0 if hits == count else float(betaincinv(hits + 1, count - hits, 0.975))
    return low, high


def summarize(
    evaluation: Evaluation, bundle: str, precision: Precision, root: Path, notes: tuple[str, ...] = ()
) -> Summary:
    """Everything worth saying about an evaluation. bundle: its label. root: the dataset's folder."""
    metrics, judged = evaluation.metrics(), evaluation.judged
    names = [name_in(root, picture) for picture in evaluation.pictures]
    return Summary(
        bundle=bundle,
        engine=evaluation.engine,
        precision=precision,
        dataset=root.resolve().name,
        threshold=evaluation.threshold,
        figures=figures(evaluation, metrics),
        masked=metrics.masked,
        defect_regions=metrics.regions,
        kinds=detections(evaluation),
        missed=tuple(names[i] for i in missed(evaluation)),
        false_rejects=tuple(names[i] for i in false_rejects(evaluation)),
        errors=tuple(n for n, outcome in zip(names, evaluation.outcomes, strict=True) if outcome is Outcome.ERROR),
        judged_good=int((judged & ~evaluation.defect).sum()),
        judged_defect=int((judged & evaluation.defect).sum()),
        not_judged=_not_judged(evaluation, names),
        latency=_latency(evaluation),
        notes=notes,
    )


def detections(evaluation: Evaluation) -> tuple[Detection, ...]:
    """Detection by kind: good first, then the defects by name."""
    labels = np.array([picture.label for picture in evaluation.pictures], dtype=np.str_)
    return tuple(_detection(evaluation, kind, labels == kind) for kind in sorted(set(labels), key=_good_first))


def _not_judged(evaluation: Evaluation, names: Sequence[str]) -> tuple[NotJudged, ...]:
    first: dict[ErrorCode, tuple[str, FrameFault]] = {}
    for name, fault in zip(names, evaluation.faults, strict=True):
        if fault is not None:
            first.setdefault(fault.error, (name, fault))
    counts = Counter(fault.error for fault in evaluation.faults if fault is not None)
    return tuple(
        NotJudged(code=code, pictures=count, first=first[code][0], reason=first[code][1].detail)
        for code, count in counts.most_common()
    )


def _ranked(evaluation: Evaluation, among: NDArray[np.bool_], outcome: Outcome) -> list[int]:
    found = [int(i) for i in np.flatnonzero(among) if evaluation.outcomes[i] is outcome]
    return sorted(found, key=lambda i: float(evaluation.scores[i]))


def _detection(evaluation: Evaluation, kind: str, chosen: NDArray[np.bool_]) -> Detection:
    outcomes = [evaluation.outcomes[i] for i in np.flatnonzero(chosen)]
    nok, errors = outcomes.count(Outcome.NOK), outcomes.count(Outcome.ERROR)
    low, high = share_interval(nok, len(outcomes) - errors)
    return Detection(
        kind=kind,
        pictures=len(outcomes),
        judged=len(outcomes) - errors,
        nok=nok,
        errors=errors,
        nok_share_low=low,
        nok_share_high=high,
        median_score=float(np.median(evaluation.scores[chosen])),
    )


def _latency(evaluation: Evaluation) -> Latency | None:
    times = evaluation.latencies_ms
    if not times.size:
        return None
    p50, p95, p99 = (float(v) for v in np.percentile(times, [50, 95, 99]))
    return Latency(mean_ms=float(times.mean()), p50_ms=p50, p95_ms=p95, p99_ms=p99)


def _good_first(kind: str) -> tuple[bool, str]:
    return kind != GOOD, kind
