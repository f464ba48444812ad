"""Detectors beside a peer, as lines of a table: what each measured on the test pictures, and how fast."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edge_build.data.pictures import GOOD, Picture, read_mask
from edge_build.detection_metrics import auroc, measure
from edge_build.evaluation.result import name_in
from edge_build.recipe.input_size import Size

HEAD = (
    "category",
    "size",
    "detector",
    "bank",
    "image AUROC",
    "pixel AUROC",
    "AUPRO",
    "pixel AP",
    "ms",
    "times as fast",
    "image AUROC beside the peer",
)
DRAWS, LIMITS = 1000, (2.5, 97.5)  # of test pictures; percentiles


@dataclass(frozen=True)
class Fitted:
    """One detector after its fit: where its graph and its measurements of the test pictures are."""

    name: str
    graph: Path
    scores: Path
    bank_entries: int
    dimensions: int
    fit_s: float


@dataclass(frozen=True)
class Scores:
    """What one detector measured on the test pictures, in their order: scores (n,), maps (n, H, W)."""

    image: NDArray[np.float64]
    maps: NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One line of the report. Shares are 0 to 1; `times_as_fast` is the peer's median over this one's.

    gain_low, gain_high: how much higher image AUROC is than the peer's, 95 % over test pictures.
    """

    category: str
    size: str
    seed: int
    detector: str
    bank_entries: int
    dimensions: int
    image_auroc: float | None
    pixel_auroc: float | None
    aupro: float | None
    pixel_ap: float | None
    median_ms: float
    times_as_fast: float
    fit_s: float
    gain_low: float | None = None
    gain_high: float | None = None


def rows_of(
    fitted: Sequence[Fitted],
    median_ms: Mapping[str, float],
    category: Path,
    pictures: Sequence[Picture],
    size: Size,
    seed: int,
) -> list[Row]:
    """One for each detector; the first is the peer."""
    rows = []
    defect = np.array([picture.label != GOOD for picture in pictures])
    masks = [read_mask(picture, size.height, size.width) for picture in pictures]
    peer = read_scores(fitted[0].scores, pictures, category).image
    for each in fitted:
        scores = read_scores(each.scores, pictures, category)
        metrics = measure(scores.image, defect, scores.maps, masks)
        low, high = (None, None) if each is fitted[0] else auroc_gain(scores.image, peer, defect)
        rows.append(
            Row(
                category=category.name,
                size=str(size),
                seed=seed,
                detector=each.name,
                bank_entries=each.bank_entries,
                dimensions=each.dimensions,
                image_auroc=metrics.image_auroc,
                pixel_auroc=metrics.pixel_auroc,
                aupro=metrics.aupro,
                pixel_ap=metrics.pixel_ap,
                median_ms=median_ms[each.name],
                times_as_fast=median_ms[fitted[0].name] / median_ms[each.name],
                fit_s=each.fit_s,
                gain_low=low,
                gain_high=high,
            )
        )
    return rows


def read_scores(file: Path, pictures: Sequence[Picture], category: Path) -> Scores:
    """One detector's saved scores, put into the order of `pictures`."""
    with np.load(file) as saved:
        place = {str(path): index for index, path in enumerate(saved["path"])}
        order = [place[name_in(category, picture)] for picture in pictures]
        return Scores(saved["score"][order].astype(np.float64), saved["map"][order].astype(np.float32))


def auroc_gain(
    own: NDArray[np.float64], peers: NDArray[np.float64], defect: NDArray[np.bool_]
) -> tuple[float | None, float | None]:
    """Limits of image AUROC minus the peer's, when the good pictures and the defects are each drawn again, for both."""
    if defect.all() or not defect.any():
        return None, None
    random = np.random.default_rng(0)
    good, bad = np.flatnonzero(~defect), np.flatnonzero(defect)
    gains = []
    for _ in range(DRAWS):
        g, b = random.choice(good, len(good)), random.choice(bad, len(bad))
        gains.append((auroc(own[b], own[g]) or 0.0) - (auroc(peers[b], peers[g]) or 0.0))
    low, high = np.percentile(gains, LIMITS)
    return float(low), float(high)


def write_json(file: Path, rows: Sequence[Row], packages: Sequence[str]) -> None:
    """Every row of every seed, and what they were made with. packages: the peer's."""
    versions = {"python": platform.python_version(), "onnxruntime": onnxruntime.__version__, "peer": list(packages)}
    file.write_text(json.dumps({"versions": versions, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


def markdown(rows: Sequence[Row]) -> str:
    """One line a category, size and detector: the means over all seeds."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.category, row.size, row.detector), []).append(row)
    lines = [HEAD, ("---",) * len(HEAD), *map(line_of, groups.values())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def line_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The cells of one line; AUROC, AUPRO and AP in percent."""
    first = rows[0]
    return (
        first.category,
        first.size,
        first.detector,
        f"{first.bank_entries} x {first.dimensions}",
        percent(row.image_auroc for row in rows),
        percent(row.pixel_auroc for row in rows),
        percent(row.aupro for row in rows),
        percent(row.pixel_ap for row in rows),
        f"{np.mean([row.median_ms for row in rows]):.1f}",
        f"{np.mean([row.times_as_fast for row in rows]):.2f}",
        f"{percent(row.gain_low for row in rows)} to {percent(row.gain_high for row in rows)}",
    )


def percent(shares: Iterable[float | None]) -> str:
    """The mean; a dash when the pictures cannot tell."""
    known = [share for share in shares if share is not None]
    return f"{100 * np.mean(known):.1f}" if known else "-"
