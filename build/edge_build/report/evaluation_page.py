"""The page of `edge-build evaluate --html`: what a bundle does on test pictures, with the pictures that say most.

write_evaluation_page(Path("screw.html"), summary, evaluation, dataset.root, bundle.manifest, bundle.viewer())
"""

from __future__ import annotations

from pathlib import Path

from edge_build.evaluation.result import Evaluation
from edge_build.evaluation.summary import Summary
from edge_build.report.gallery import colour_scale, galleries_of
from edge_build.report.templates import page_from_template
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.files import Durability, storage_errors, write_file
from edge_runtime.imaging.see import FrameViewer


def write_evaluation_page(
    path: Path, summary: Summary, evaluation: Evaluation, root: Path, manifest: Manifest, viewer: FrameViewer
) -> None:
    """Write the page at once. root: the dataset's. manifest, viewer: the bundle's.

    Raises PictureError for a picture that is gone, StorageError.
    """
    page = page_from_template(
        "evaluation.html.j2",
        summary=summary,
        t=summary.threshold,
        m=manifest,
        seen=viewer.view.record is not None,
        galleries=galleries_of(evaluation, root, None if viewer.view.record is None else viewer),
        scale=colour_scale(),
    )
    with storage_errors(path):
        write_file(path, page.encode(), Durability.ATOMIC)
