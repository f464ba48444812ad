"""`held_out.json` of a bundle: the scores that its thresholds were set on, so that another rate takes no pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from edge_build.acceptance.held_out import HeldOut
from edge_runtime.bundle.manifest import Record
from edge_runtime.bundle.reader import Bundle
from edge_runtime.bundle.verified_file import REBUILD
from edge_runtime.errors import BundleError
from edge_runtime.records import Precision

FILE = "held_out.json"
Scores = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]


class PrecisionScores(Record):
    """What one precision of the bundle measured, raw: `scores`, `maxima` and `trial_scores` of `HeldOut`."""

    scores: Scores
    maxima: Scores
    trial_scores: tuple[float, ...]

    @model_validator(mode="after")
    def _of_the_same_pictures(self) -> PrecisionScores:
        if len(self.scores) != len(self.maxima):
            raise ValueError(f"{len(self.scores)} scores and {len(self.maxima)} maxima are not of the same pictures")
        return self


class HeldOutScores(Record):
    """The whole file."""

    precisions: dict[Precision, PrecisionScores]

    @model_validator(mode="after")
    def _of_the_same_pictures(self) -> HeldOutScores:
        if len({(len(one.scores), len(one.trial_scores)) for one in self.precisions.values()}) > 1:
            raise ValueError("the precisions have scores of different numbers of pictures")
        return self


def write_held_out_scores(folder: Path, held_out: Mapping[Precision, HeldOut]) -> None:
    """Write them into a bundle's folder."""
    scores = {
        precision: PrecisionScores(
            scores=tuple(found.scores.tolist()),
            maxima=tuple(found.maxima.tolist()),
            trial_scores=tuple(found.trial_scores.tolist()),
        )
        for precision, found in held_out.items()
    }
    (folder / FILE).write_text(HeldOutScores(precisions=scores).model_dump_json() + "\n", encoding="utf-8")


def read_held_out_scores(bundle: Bundle) -> dict[Precision, PrecisionScores]:
    """Of every precision in the bundle. Raises BundleError when it has none, or the file does not fit it."""
    if FILE not in bundle.manifest.files:
        raise BundleError(
            f"bundle {bundle.label} has no {FILE}, the scores that its threshold was set on: an earlier version built "
            "it. Give good pictures as well, or build it again"
        )
    found = bundle.record(FILE, HeldOutScores, "a record of held-out scores").precisions
    if missing := [precision.value for precision in bundle.manifest.graphs if precision not in found]:
        raise BundleError(
            f"{bundle.folder / FILE} has no scores of {', '.join(missing)}, which {bundle.label} has; {REBUILD}"
        )
    return {precision: found[precision] for precision in bundle.manifest.graphs}
