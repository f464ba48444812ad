"""`report.html`: what a bundle can do and what it was made from, on one page that needs nothing else.

No script, no font, no picture from elsewhere: it opens from a USB stick, mails, prints, and is the same in ten years.

    write_report(folder / "report.html", ReportData(manifest, held_out, evaluations, parity, notes, dataset.root))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.acceptance.held_out import HighScore
from edge_build.detectors.protocol import Example
from edge_build.evaluation.result import Evaluation
from edge_build.evaluation.summary import share_interval, summarize
from edge_build.graphs.parity import Parity
from edge_build.graphs.precisions import GateResult
from edge_build.report.gallery import (
    Gallery,
    colour_scale,
    galleries_of,
    highest_held_out,
    suspicious,
    training_examples,
)
from edge_build.report.histogram import Histogram, Series, histogram
from edge_build.report.operating_points import operating_points
from edge_build.report.origin import origin_of
from edge_build.report.templates import page_from_template
from edge_build.screening.suspects import Suspect
from edge_calibration.int8_plan import Int8Plan
from edge_calibration.tail import tail_text
from edge_calibration.threshold import shortage
from edge_runtime.bundle.manifest import Manifest, Threshold
from edge_runtime.files import Durability, storage_errors, write_file
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.records import Precision

REPORT = "report.html"


@dataclass(frozen=True)
class ReportData:
    """All that a report shows.

    manifest: of the bundle; its `files` may still be empty. held_out: for every precision, the raw scores of the good
    pictures that its threshold was set on. evaluations: on test pictures, for the precisions that were measured; empty
    when there are none. parity: None when nothing was exported. results: how precisions did at the gate. plan: what
    INT8 is made of. root: the dataset's folder. headline: the precision that is shown first. examples: of the made-up
    defects that were learned from, if any. suspects: the good pictures that do not look like the others. real_defects:
    how many pictures of real ones were learned from. highest: the held-out good pictures with the highest scores.
    before: the manifest of the bundle that this one was recalibrated from.
    viewer: what sees the frames, None for the whole of them.
    """

    manifest: Manifest
    held_out: Mapping[Precision, NDArray[np.float64]]
    evaluations: Mapping[Precision, Evaluation]
    parity: Parity | None
    notes: tuple[str, ...]
    root: Path
    results: Mapping[Precision, GateResult] = field(default_factory=dict)
    plan: Int8Plan | None = None
    headline: Precision = Precision.FP32
    examples: tuple[Example, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    real_defects: int = 0
    highest: tuple[HighScore, ...] = ()
    before: Manifest | None = None
    viewer: FrameViewer | None = None


def write_report(path: Path, data: ReportData) -> None:
    """Render the report and write it at once. Raises PictureError for a picture that is gone, StorageError."""
    with storage_errors(path):
        write_file(path, report_html(data).encode(), Durability.ATOMIC)


def report_html(data: ReportData) -> str:
    """The whole page. Raises PictureError when a test picture cannot be read any more."""
    manifest, evaluation = data.manifest, data.evaluations.get(data.headline)
    summaries = {
        precision: summarize(one, manifest.label, precision, data.root) for precision, one in data.evaluations.items()
    }
    threshold = manifest.graphs[data.headline].threshold
    return page_from_template(
        "report.html.j2",
        m=manifest,
        t=threshold,
        fitted=tail_text(data.held_out[data.headline], threshold.score, threshold.false_reject_rate),
        headline=data.headline,
        summary=summaries.get(data.headline),
        summaries=summaries,
        intervals=_intervals(evaluation),
        chart=_chart(data, evaluation),
        points=operating_points(data.held_out[data.headline], threshold, evaluation),
        galleries=_galleries(data, threshold, evaluation),
        scale=colour_scale(),
        seen=data.viewer is not None,
        examples=training_examples(data.examples),
        real_defects=data.real_defects,
        parity=data.parity,
        results=data.results,
        plan=data.plan,
        notes=data.notes,
        shortage=shortage(threshold),
        origin=origin_of(manifest, data.before, data.held_out[Precision.FP32]) if data.before else None,
    )


def _galleries(data: ReportData, threshold: Threshold, evaluation: Evaluation | None) -> tuple[Gallery, ...]:
    held_out = highest_held_out(data.highest, threshold, data.root, data.viewer)
    return (
        *suspicious(data.suspects, data.root),
        *held_out,
        *(galleries_of(evaluation, data.root, data.viewer) if evaluation is not None else ()),
    )


@dataclass(frozen=True)
class _Interval:
    """Of judged pictures that were NOK: how many, of how many, and the 95 % interval of their share."""

    nok: int
    pictures: int
    low: float
    high: float


def _intervals(evaluation: Evaluation | None) -> dict[str, _Interval]:
    """For `good` and `defect`, where such pictures were judged."""
    found = {}
    if evaluation is not None:
        for name, of_kind in (("good", ~evaluation.defect), ("defect", evaluation.defect)):
            chosen = of_kind & evaluation.judged
            pictures = int(chosen.sum())
            nok = sum(evaluation.outcomes[i].name == "NOK" for i in np.flatnonzero(chosen))
            if pictures:
                found[name] = _Interval(nok, pictures, *share_interval(nok, pictures))
    return found


def _chart(data: ReportData, evaluation: Evaluation | None) -> Histogram:
    series = [Series("Held-out good", "held-out", data.held_out[data.headline])]
    if evaluation is not None:
        series += [
            Series("Test good", "good", evaluation.scores[~evaluation.defect]),
            Series("Test defect", "defect", evaluation.scores[evaluation.defect]),
        ]
    return histogram(series, data.manifest.graphs[data.headline].threshold)
