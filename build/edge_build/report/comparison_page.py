"""The page of `edge-build compare --html`: bundles side by side, and the pictures that they judge differently.

write_comparison_page(Path("compared.html"), comparison, evaluations, dataset.root)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_build.evaluation.comparison import Comparison, Differing
from edge_build.evaluation.result import Evaluation, name_in
from edge_build.report.gallery import data_uri
from edge_build.report.templates import page_from_template
from edge_runtime.files import Durability, storage_errors, write_file
from edge_runtime.imaging.overlay import fit, heat_overlay, scale_from_threshold
from edge_runtime.imaging.reader import read_picture

MOST_SHOWN = 12
LONGEST = 240  # pixels of a shown picture's longer side


@dataclass(frozen=True)
class Shown:
    """A picture, and its map by every bundle, as data URIs."""

    differing: Differing
    picture: str
    overlays: tuple[str, ...]


def write_comparison_page(
    path: Path, comparison: Comparison, evaluations: Mapping[str, Evaluation], root: Path
) -> None:
    """Write the page at once. Raises PictureError for a picture that is gone, StorageError."""
    first = next(iter(evaluations.values()))
    places = {name_in(root, picture): place for place, picture in enumerate(first.pictures)}
    shown = []
    for differing in comparison.differing[:MOST_SHOWN]:
        place = places[differing.picture]
        image = fit(read_picture(first.pictures[place].path), LONGEST)
        overlays = tuple(
            data_uri(heat_overlay(image, evaluation.maps[place], *scale_from_threshold(evaluation.threshold.map)))
            for evaluation in evaluations.values()
        )
        shown.append(Shown(differing, data_uri(image), overlays))
    page = page_from_template("comparison.html.j2", c=comparison, shown=shown)
    with storage_errors(path):
        write_file(path, page.encode(), Durability.ATOMIC)
