"""What the report of a recalibrated bundle shows first: what it was made from, and what is new since.

origin = origin_of(manifest, before, held_out_scores)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_build.data.frame_limits import limits_text
from edge_runtime.bundle.manifest import Manifest, Recalibration, Threshold
from edge_runtime.records import Precision


@dataclass(frozen=True)
class Side:
    """One of two bundles that are compared. nok: how many of the held-out pictures its threshold rejects."""

    label: str
    threshold: Threshold
    nok: int
    frames: str


@dataclass(frozen=True)
class Origin:
    """built: the label of the bundle that the detector was built for. pictures: those that set the threshold, if they
    are not the build's. steps: how the bundle came about, the build first. held_out: how many pictures set it."""

    built: str
    pictures: Recalibration | None
    steps: tuple[str, ...]
    held_out: int
    before: Side
    now: Side


def origin_of(manifest: Manifest, before: Manifest, held_out: NDArray[np.float64]) -> Origin:
    """before: of the bundle that this one comes from. held_out: raw scores of good pictures in FP32, (n,)."""
    made = list(_made(manifest))
    return Origin(
        built=made[-1].bundle if made else manifest.label,
        pictures=next((step for step in made if step.pictures), None),
        steps=_steps(manifest, made),
        held_out=held_out.size,
        before=_side(before, held_out),
        now=_side(manifest, held_out),
    )


def _made(manifest: Manifest) -> Iterator[Recalibration]:
    """The last one first."""
    step = manifest.recalibration
    while step is not None:
        yield step
        step = step.parent


def _steps(manifest: Manifest, made: list[Recalibration]) -> tuple[str, ...]:
    results = [manifest.label, *(step.bundle for step in made)]
    dataset = manifest.dataset
    built = f"{results[-1]}: built, learned from {dataset.train} good pictures of {dataset.name}"
    recalibrated = [
        f"{label}: recalibrated on {step.pictures} good pictures of {step.dataset}"
        if step.pictures
        else f"{label}: another false-reject rate"
        for label, step in zip(results, made, strict=False)
    ]
    return (built, *reversed(recalibrated))


def _side(manifest: Manifest, held_out: NDArray[np.float64]) -> Side:
    threshold, frames = manifest.graphs[Precision.FP32].threshold, manifest.frames
    nok = int((held_out > threshold.score).sum())
    return Side(manifest.label, threshold, nok, "not checked" if frames is None else limits_text(frames))
