"""What an evaluation amounts to: figures for the manifest, and a richer summary for people and for `--json`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import betaincinv  # the quantile of Beta; scipy.stats takes a second to import

from edge_build.evaluation import Evaluation, name_in
from edge_build.metrics import Metrics
from edge_build.pictures import GOOD
from edge_runtime.manifest import Figures, Record, Share, Threshold
from edge_runtime.records import Outcome, Precision


class Latency(Record):
    """Milliseconds from a picture in memory to its measurement (prepare and infer), over all pictures."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Detection(Record):
    """How many pictures of one kind (a defect's name, or `good`) were NOK, with the 95 % interval of their share."""

    kind: str
    pictures: int
    nok: int
    errors: int
    nok_share_low: Share
    nok_share_high: Share
    median_score: float  # raw


class Summary(Record):
    """`edge-build evaluate --json`. Pictures are named relative to the dataset."""

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
    latency: Latency | None  # None when nothing was measured
    notes: tuple[str, ...] = Field(default=())


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


def outcome(figures: Figures) -> str:
    """What the threshold does to the test pictures, for people: one or two lines."""
    said = (
        f"on the test pictures {figures.missed_defects} of {figures.defect} defects pass as OK, and "
        f"{figures.false_rejects} of {figures.good} good parts are rejected"
    )
    if 2 * figures.missed_defects <= figures.defect:
        return said
    return (
        f"{said}\nmost defects pass: look at the scores in report.html, then try a larger size, more good pictures, "
        "another detector, or a higher rate (`edge-build calibrate --false-reject` learns nothing anew)"
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
    metrics = evaluation.metrics()
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
        latency=_latency(evaluation),
        notes=notes,
    )


def detections(evaluation: Evaluation) -> tuple[Detection, ...]:
    """Detection by kind: good first, then the defects by name."""
    labels = np.array([picture.label for picture in evaluation.pictures], dtype=np.str_)
    return tuple(_detection(evaluation, kind, labels == kind) for kind in sorted(set(labels), key=_good_first))


def summary_json(summary: Summary) -> str:
    """The summary as JSON text, indented, with a newline at its end."""
    return summary.model_dump_json(indent=2) + "\n"


def summary_text(summary: Summary) -> str:
    """The summary for a terminal: plain lines of at most 100 characters, file names apart."""
    f, t = summary.figures, summary.threshold
    lines = [
        f"{summary.bundle} {summary.precision.value} on {summary.dataset}, {summary.engine}",
        "",
        f"  image AUROC {_percent(f.image_auroc)}   {f.good} good, {f.defect} defect",
        f"  pixel AUROC {_percent(f.pixel_auroc)}   {summary.masked} defect pictures with masks",
        f"  AUPRO       {_percent(f.aupro)}   {summary.defect_regions} regions",
        f"  pixel AP    {_percent(f.pixel_ap)}",
        "",
        f"  At the threshold of {t.score:.4g} ({t.pictures} good pictures, {t.false_reject_rate:.2%} asked for):",
    ]
    width = max((len(kind.kind) for kind in summary.kinds), default=0)
    for kind in summary.kinds:
        interval = f"{kind.nok_share_low:.1%} to {kind.nok_share_high:.1%}"
        lines.append(f"  {kind.kind:<{width}}  {kind.nok:>4} of {kind.pictures:>4} NOK   95 % interval {interval}")
    if summary.latency is not None:
        at = summary.latency
        lines += ["", f"  {at.p50_ms:.1f} ms a picture (95 %: {at.p95_ms:.1f}, 99 %: {at.p99_ms:.1f})"]
    for title, names in (
        ("missed", summary.missed),
        ("false rejects", summary.false_rejects),
        ("not judged (frames beyond the limits of the bundle)", summary.errors),
    ):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            lines += ["", f"  {title}: {', '.join(names[:5])}{more}"]
    if summary.notes:
        lines += ["", *(f"  {note}" for note in summary.notes)]
    return "\n".join(lines)


def _ranked(evaluation: Evaluation, among: NDArray[np.bool_], outcome: Outcome) -> list[int]:
    found = [int(i) for i in np.flatnonzero(among) if evaluation.outcomes[i] is outcome]
    return sorted(found, key=lambda i: float(evaluation.scores[i]))


def _detection(evaluation: Evaluation, kind: str, chosen: NDArray[np.bool_]) -> Detection:
    outcomes = [evaluation.outcomes[i] for i in np.flatnonzero(chosen)]
    low, high = share_interval(outcomes.count(Outcome.NOK), len(outcomes))
    return Detection(
        kind=kind,
        pictures=len(outcomes),
        nok=outcomes.count(Outcome.NOK),
        errors=outcomes.count(Outcome.ERROR),
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


def _percent(share: float | None) -> str:
    return "    -  " if share is None else f"{share:>7.2%}"
