"""Everything that was made, proven and measured becomes a bundle: graphs, golden values, calibration, report, manifest.

pack(out, "screw-1", contents, lambda golden, graphs: Manifest(...))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.acceptance.judgement import Judgement
from edge_build.bundling.calibration_files import write_calibration
from edge_build.bundling.held_out_scores import write_held_out_scores
from edge_build.bundling.training_record import TrainingRecord, write_training_record
from edge_build.bundling.writer import new_bundle, write_files, write_golden, write_graphs, write_manifest
from edge_build.data.pictures import Picture
from edge_build.detectors.protocol import Example
from edge_build.evaluation.result import Evaluation
from edge_build.graphs.parity import Parity
from edge_build.graphs.precisions import PrecisionMaker
from edge_build.report.page import REPORT, ReportData, write_report
from edge_build.screening.suspects import Suspect
from edge_runtime.bundle.manifest import Golden, GraphEntry, Manifest
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.imaging.view import view_from_files
from edge_runtime.records import Inspection, Precision

Describe = Callable[[tuple[Golden, ...], Mapping[Precision, GraphEntry]], Manifest]


@dataclass(frozen=True)
class BundleContents:
    """What goes into a bundle.

    graphs: those that may serve, FP32 first. golden: pictures uint8 (n, H, W, 3), and what every graph measured on
    them. calibration: those that `maker` chose its calibration pictures from. training: all that the detector has seen.
    view: the files of the view by their names in the bundle.
    root: the dataset's folder. The rest is as in `ReportData`.
    """

    graphs: Mapping[Precision, bytes]
    golden: NDArray[np.uint8]
    measured: Mapping[Precision, Sequence[Inspection]]
    judgement: Judgement
    maker: PrecisionMaker
    calibration: Sequence[Picture]
    training: TrainingRecord
    root: Path
    notes: tuple[str, ...]
    parity: Parity | None = None
    evaluations: Mapping[Precision, Evaluation] | None = None
    examples: tuple[Example, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    real_defects: int = 0
    before: Manifest | None = None
    view: Mapping[str, bytes] = field(default_factory=dict)


def pack(out: Path, label: str, contents: BundleContents, describe: Describe) -> Manifest:
    """Write `out/label`, whole or not at all. describe: the manifest, but for its list of files.

    Raises StorageError, or ConfigError when the bundle exists.
    """
    c = contents
    with new_bundle(out, label) as folder:
        golden = write_golden(folder, c.golden, c.measured[Precision.FP32])
        graphs = write_graphs(folder, c.graphs, c.judgement.thresholds, c.measured, c.judgement.results)
        if c.maker.plan is not None:
            write_calibration(folder, c.maker, [c.calibration[row] for row in c.maker.calibrated_on], c.root)
        write_files(folder, c.view)
        write_training_record(folder, c.training)
        write_held_out_scores(folder, {precision: c.judgement.held_out[precision] for precision in c.graphs})
        manifest = describe(golden, graphs)
        write_report(folder / REPORT, _report_data(manifest, contents))
        write_manifest(folder, manifest)
    return manifest


def _report_data(manifest: Manifest, c: BundleContents) -> ReportData:
    return ReportData(
        manifest,
        held_out={precision: c.judgement.held_out[precision].scores for precision in c.graphs},
        evaluations=c.evaluations or {},
        parity=c.parity,
        notes=c.notes,
        root=c.root,
        results=c.judgement.results,
        plan=c.maker.plan,
        highest=c.judgement.held_out[Precision.FP32].highest,
        examples=c.examples,
        suspects=c.suspects,
        real_defects=c.real_defects,
        before=c.before,
        viewer=_viewer(manifest, c.view),
    )


def _viewer(manifest: Manifest, files: Mapping[str, bytes]) -> FrameViewer | None:
    """What sees the frames; None for a bundle that sees the whole of them."""
    if manifest.view is None:
        return None
    return FrameViewer(view_from_files(manifest.view, manifest.height, manifest.width, files.__getitem__))
