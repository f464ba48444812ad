"""`edge-build calibrate`: FP16 and INT8 of a bundle once more, with new pictures from the line, without learning.

The FP32 graph stays as it is, to the byte. Half of the new pictures are held out: every precision's threshold is set on
them, and the gate judges on them. From the other half INT8 is calibrated. The result is a bundle of its own.
"""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.bundle_writer import check_place, new_bundle, write_golden, write_graphs, write_manifest
from edge_build.calibration_files import write_calibration
from edge_build.dataset import load_prepared, scan_dataset
from edge_build.exact_engine import exact_engine
from edge_build.held_out import score_held_out
from edge_build.precisions import GateResult, PrecisionMaker, judged, precision_notes
from edge_build.progress import Progress
from edge_build.recipe import ThresholdSettings, recipe_from_yaml
from edge_build.report import Story, write_report
from edge_build.splits import split
from edge_calibration.threshold import shortage, threshold_from_good
from edge_runtime.bundle import Bundle, open_bundle
from edge_runtime.errors import ConfigError
from edge_runtime.manifest import Record, Threshold
from edge_runtime.records import Precision

VERSION = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,19}"  # as in the manifest
HELD_OUT = ThresholdSettings(method="held-out", share=0.5)


class Recalibrated(Record):
    """`edge-build calibrate --json`: the new bundle, and what it holds."""

    folder: str
    bundle: str
    precisions: tuple[Precision, ...]
    thresholds: dict[Precision, Threshold]
    results: dict[Precision, GateResult]
    notes: tuple[str, ...]


def recalibrate(folder: Path, pictures: Path, version: str, out: Path, progress: Progress) -> Recalibrated:
    """Make the bundle `out/<name>-<version>` from the one in `folder` and good pictures it has not learned from.

    What the recipe says of calibration, precisions and the false reject rate holds. Raises an EdgeError that says what
    to do.
    """
    if not re.fullmatch(VERSION, version):
        raise ConfigError(f"--version {version!r}: 1 to 20 letters, digits, _ . and -, starting with a letter or digit")
    bundle = open_bundle(folder)
    label = f"{bundle.manifest.name}-{version}"
    check_place(out, label)
    manifest, recipe = bundle.manifest, recipe_from_yaml(bundle.manifest.recipe, folder / "manifest.json: recipe")
    graph = bundle.graph(Precision.FP32).read_bytes()
    dataset = scan_dataset(pictures, progress)
    splits = split(dataset.good, HELD_OUT, recipe.calibration.set_aside, recipe.seed)
    prepared = load_prepared(dataset.good, manifest.height, manifest.width, progress)
    place = {picture: row for row, picture in enumerate(dataset.good)}

    aside = prepared[[place[picture] for picture in splits.train]]
    maker = PrecisionMaker(recipe.precisions, recipe.calibration, graph, aside, recipe.seed, progress)
    held_out = score_held_out(
        splits,
        lambda _: maker.graphs(graph),
        lambda chosen: prepared[[place[picture] for picture in chosen]],
        recipe.seed,
        progress,
    )
    rate = recipe.threshold.false_reject_rate
    thresholds = {p: threshold_from_good(h.scores, h.maxima, rate, "held-out") for p, h in held_out.items()}
    results = judged(held_out, thresholds)
    short = shortage(thresholds[Precision.FP32])
    notes = (*dataset.notes, *((short,) if short else ()), *precision_notes(maker, results))
    for note in notes:
        progress.say(note)

    graphs = {p: g for p, g in maker.graphs(graph).items() if p not in results or not results[p].failures}
    golden = _golden_pictures(bundle)
    measured = {}
    for precision, one in graphs.items():
        with exact_engine(one) as engine:
            measured[precision] = [engine.infer(picture[None]) for picture in golden]
    record = manifest.dataset.model_copy(
        update={"calibration": len(maker.calibrated_on), "threshold": len(splits.folds[0])}
    )
    with new_bundle(out, label) as new:
        renewed = manifest.model_copy(
            update={
                "version": version,
                "golden": write_golden(new, golden, measured[Precision.FP32]),
                "graphs": write_graphs(new, graphs, thresholds, measured, results),
                "dataset": record,
                "figures": {},  # those of the build belong to other thresholds
            }
        )
        if maker.plan is not None:
            write_calibration(new, maker, [splits.train[row] for row in maker.calibrated_on], dataset.root)
        scores = {precision: held_out[precision].scores for precision in graphs}
        write_report(new / "report.html", Story(renewed, scores, {}, None, notes, dataset.root, results, maker.plan))
        write_manifest(new, type(manifest).model_validate(renewed.model_dump()))
    kept = {precision: thresholds[precision] for precision in graphs}
    return Recalibrated(
        folder=str(out / label), bundle=label, precisions=tuple(graphs), thresholds=kept, results=results, notes=notes
    )


def _golden_pictures(bundle: Bundle) -> NDArray[np.uint8]:
    """The golden pictures (n, H, W, 3) as they were prepared."""
    read = [cv2.imread(str(bundle.folder / golden.picture), cv2.IMREAD_COLOR) for golden in bundle.manifest.golden]
    return np.asarray(np.stack([picture for picture in read if picture is not None]), np.uint8)
