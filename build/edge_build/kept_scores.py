"""`held_out.json` of a bundle: the scores that its thresholds were set on, so that another rate takes no pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge_build.held_out import HeldOut
from edge_runtime.bundle import Bundle
from edge_runtime.errors import BundleError
from edge_runtime.manifest import Record
from edge_runtime.records import Precision

FILE = "held_out.json"


class KeptScores(Record):
    """What one precision of the bundle measured, raw: `scores`, `maxima` and `trial_scores` of `HeldOut`."""

    scores: tuple[float, ...]
    maxima: tuple[float, ...]
    trial_scores: tuple[float, ...]


class Kept(Record):
    """The whole file."""

    precisions: dict[Precision, KeptScores]


def write_scores(folder: Path, held_out: Mapping[Precision, HeldOut]) -> None:
    """Write them into a bundle's folder."""
    kept = {
        precision: KeptScores(
            scores=tuple(found.scores.tolist()),
            maxima=tuple(found.maxima.tolist()),
            trial_scores=tuple(found.trial_scores.tolist()),
        )
        for precision, found in held_out.items()
    }
    (folder / FILE).write_text(Kept(precisions=kept).model_dump_json() + "\n", encoding="utf-8")


def read_scores(bundle: Bundle) -> dict[Precision, KeptScores]:
    """Of every precision in the bundle. Raises BundleError for a bundle that was built before they were kept."""
    if FILE not in bundle.manifest.files:
        raise BundleError(
            f"bundle {bundle.label} has no {FILE}, the scores that its threshold was set on: an earlier version built "
            "it. Give good pictures as well, or build it again"
        )
    return Kept.model_validate_json((bundle.folder / FILE).read_bytes()).precisions
