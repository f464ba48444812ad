"""The summary of an evaluation in words, for a terminal: plain lines of at most 100 characters, file names apart."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from edge_build.evaluation.summary import Detection, Summary
from edge_runtime.bundle.manifest import Figures

WIDTH = 96
NAMED = 5  # pictures of a list


def summary_text(summary: Summary) -> str:
    """All of it: what was not judged first, then metrics, detection by kind, latency, the pictures that went wrong."""
    return "\n".join(
        [
            f"{summary.bundle} {summary.precision.value} on {summary.dataset}, {summary.engine}",
            "",
            *_warning(summary),
            *_metrics(summary),
            "",
            *_detections(summary),
            *_latency(summary),
            *_named("missed", summary.missed),
            *_named("false rejects", summary.false_rejects),
            *_named("not judged (frames beyond the limits of the bundle)", summary.errors),
            *(["", *(f"  {note}" for note in summary.notes)] if summary.notes else []),
        ]
    )


def outcome_text(figures: Figures, not_judged: int) -> str:
    """What a threshold does to the test pictures, in one to three lines. not_judged: beyond the limits of frames."""
    text = (
        f"on the test pictures {figures.missed_defects} of {figures.defect} defects pass as OK, and "
        f"{figures.false_rejects} of {figures.good} good parts are rejected"
    )
    if not_judged:
        text = (
            f"warning: {not_judged} of {figures.good + figures.defect} test pictures are beyond the limits of frames; "
            f"a line answers ERROR to them, and they count as neither here\n{text}"
        )
    if 2 * figures.missed_defects <= figures.defect:
        return text
    return (
        f"{text}\nmost defects pass: look at the scores in report.html, then try a larger size, more good pictures, "
        "another detector, or a higher rate (`edge-build calibrate --false-reject`, which does not learn again)"
    )


def _warning(summary: Summary) -> list[str]:
    """That pictures were not judged, and why: what nobody may miss."""
    if not summary.errors:
        return []
    count, total = len(summary.errors), summary.figures.good + summary.figures.defect
    if summary.nothing_judged:
        text = (
            f"NOTHING WAS JUDGED: all {total} pictures are beyond the bundle's limits of frames, so a line answers "
            "ERROR to each. What follows tells nothing of what it finds or rejects."
        )
    else:
        text = (
            f"WARNING: {count} of {total} pictures are NOT JUDGED. They are beyond the bundle's limits of frames, so a "
            "line answers ERROR to them and the parts are rejected; they are neither OK nor NOK here."
        )
    lines = textwrap.wrap(text, WIDTH)
    for each in summary.not_judged:
        lines.append(f"{each.pictures} x ERROR {each.code:03d}, the first is {each.first}:")
        lines += textwrap.wrap(each.reason, WIDTH, initial_indent="  ", subsequent_indent="  ")
    return [*(f"  {line}" for line in lines), ""]


def _metrics(summary: Summary) -> Iterator[str]:
    f, errors = summary.figures, summary.errors
    among = f" ({len(errors)} of them not judged; metrics are of all)" if errors else ""
    yield f"  image AUROC {_percent(f.image_auroc)}   {f.good} good, {f.defect} defect{among}"
    yield f"  pixel AUROC {_percent(f.pixel_auroc)}   {summary.masked} defect pictures with masks"
    yield f"  AUPRO       {_percent(f.aupro)}   {summary.defect_regions} regions"
    yield f"  pixel AP    {_percent(f.pixel_ap)}"


def _detections(summary: Summary) -> Iterator[str]:
    t = summary.threshold
    yield f"  At the threshold of {t.score:.4g} ({t.pictures} good pictures, {t.false_reject_rate:.2%} asked for):"
    width = max((len(kind.kind) for kind in summary.kinds), default=0)
    for kind in summary.kinds:
        yield f"  {kind.kind:<{width}}  {kind.nok:>4} of {kind.judged:>4} NOK   {kind.errors:>4} ERROR   {_share(kind)}"


def _share(kind: Detection) -> str:
    if not kind.judged:
        return "none was judged"
    return f"95 % interval {kind.nok_share_low:.1%} to {kind.nok_share_high:.1%}"


def _latency(summary: Summary) -> list[str]:
    found = summary.latency
    if found is None:
        return []
    return ["", f"  {found.p50_ms:.1f} ms a picture (95 %: {found.p95_ms:.1f}, 99 %: {found.p99_ms:.1f})"]


def _named(title: str, names: tuple[str, ...]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ["", f"  {title}: {', '.join(names[:NAMED])}{more}"]


def _percent(share: float | None) -> str:
    return "    -  " if share is None else f"{share:>7.2%}"
