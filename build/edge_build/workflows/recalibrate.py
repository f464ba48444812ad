"""`edge-build calibrate`: FP16 and INT8 of a bundle once more, with new pictures from the line, without learning.

The FP32 graph stays as it is, to the byte. Half of the new pictures are held out: every precision's threshold is set on
them, and the gate judges on them. From the other half INT8 is calibrated; without INT8 all are held out. All of them
set the limits of frames. The result is a bundle of its own, which says where it comes from.

Pictures that the detector learned from are refused, and so are pictures of which most are NOK by the bundle's own
threshold: more than half of those beyond the share that it was asked to reject, however few pictures it rests on. So is
a threshold that passes its golden negative: a single picture of something else can lift it above every defect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.acceptance.judgement import Judgement, judge_precisions
from edge_build.bundling.pack import BundleContents, pack
from edge_build.bundling.training_record import read_training_record, refuse_training_pictures, with_set_on
from edge_build.data.dataset import scan_dataset
from edge_build.data.frame_limits import limits_of_line, limits_text
from edge_build.data.pictures import DatasetError, Picture, PreparedPictures, problem_lines
from edge_build.data.splits import Splits, split
from edge_build.graphs.emulated_engine import emulated_engine
from edge_build.graphs.precisions import PrecisionMaker
from edge_build.progress import Progress
from edge_build.recipe.recipe import Recipe, ThresholdSettings, recipe_from_yaml
from edge_build.views.learn import limits_on_line
from edge_build.views.where import where_judged
from edge_build.workflows.derived import Recalibrated, change_text, derived_manifest, open_parent, passed_negative
from edge_runtime.bundle.reader import Bundle
from edge_runtime.records import Inspection, Precision

HELD_OUT = ThresholdSettings(method="held-out", share=0.5)
MOST_NOK = 0.5  # of the new good pictures beyond the rate asked for, by the old threshold


def recalibrate(
    folder: Path, pictures: Path, version: str, out: Path, progress: Progress, rate: float | None = None
) -> Recalibrated:
    """Make the bundle `out/<name>-<version>` from the one in `folder` and good pictures it has not learned from.

    What the recipe says of calibration and precisions holds. rate: the share of good parts that may be rejected; None
    for the one of the bundle. Raises an EdgeError that says what to do.
    """
    bundle, label = open_parent(folder, version, out)
    manifest, recipe = bundle.manifest, recipe_from_yaml(bundle.manifest.recipe, folder / "manifest.json: recipe")
    graph = bundle.graph_bytes(Precision.FP32)
    dataset = scan_dataset(pictures, progress, all_good=recipe.all_good)
    refuse_training_pictures(bundle, dataset.good)
    frames, frame_notes = limits_of_line(dataset.good, bundle, progress)
    view = limits_on_line(bundle.viewer().view, dataset.good, progress)
    splits = _duties(dataset.good, recipe)
    prepared = PreparedPictures(dataset.good, bundle.viewer(), progress)

    candidates, wanted = prepared.of(splits.train), rate or bundle.threshold(Precision.FP32).false_reject_rate
    maker = PrecisionMaker(recipe.precisions, recipe.calibration, graph, candidates, recipe.seed, progress)
    judged = where_judged(bundle.viewer().view)
    judgement = judge_precisions(
        splits, lambda _: maker.graphs(graph), prepared, maker, wanted, "held-out", recipe.seed, progress, judged=judged
    )
    compared = _compared(bundle, judgement)
    judgement.report_to(progress)
    for line in (compared, f"frames: {limits_text(frames)}", *frame_notes):
        progress.say(line)
    graphs, golden = judgement.accepted(maker.graphs(graph)), _golden_pictures(bundle)
    notes = (compared, *frame_notes, *dataset.notes, *judgement.notes)
    contents = BundleContents(
        graphs,
        golden,
        _measured(graphs, golden),
        judgement,
        maker,
        splits.train,
        training=with_set_on(read_training_record(bundle), dataset.good),
        root=dataset.root,
        notes=notes,
        before=manifest,
        view={} if manifest.view is None else {file: bundle.read(file) for file in manifest.view.files},
    )
    duties = {"calibration": len(maker.calibrated_on), "threshold": sum(map(len, splits.folds))}
    pack(
        out,
        label,
        contents,
        lambda golden, graphs: derived_manifest(
            bundle, version, dataset, duties, frames=frames, view=view, golden=golden, graphs=graphs
        ),
    )
    return Recalibrated(
        folder=str(out / label),
        bundle=label,
        precisions=tuple(graphs),
        thresholds={precision: judgement.thresholds[precision] for precision in graphs},
        results=dict(judgement.results),
        notes=notes,
    )


def _duties(good: Sequence[Picture], recipe: Recipe) -> Splits:
    if Precision.INT8.value in recipe.precisions:
        return split(good, HELD_OUT, recipe.calibration.set_aside, recipe.seed)
    return Splits(train=(), calibration=(), folds=(tuple(good),))


def _compared(bundle: Bundle, judgement: Judgement) -> str:
    """The old and the new threshold, in words. Raises DatasetError when the pictures cannot be of the same parts."""
    scores = judgement.held_out[Precision.FP32].scores
    old, new = bundle.threshold(Precision.FP32), judgement.thresholds[Precision.FP32]
    above, asked = int((scores > old.score).sum()), old.false_reject_rate
    if above > (asked + MOST_NOK * (1 - asked)) * len(scores):
        raise DatasetError(
            f"{above} of {len(scores)} held-out pictures are NOK by the threshold of {bundle.label} "
            f"({old.score:.4g}), and a threshold above them ({new.score:.4g}) would pass defects: they show other "
            "parts, or light, lens or fixture have changed. Build a new bundle from such pictures"
        )
    if (negative := passed_negative(bundle, new)) is not None:
        raise DatasetError(
            f"the new threshold ({new.score:.4g}; before {old.score:.4g}) would pass a picture that no part looks "
            f"like, the golden negative of {bundle.label} ({negative:.4g}): look whether these are good parts, and "
            f"take away what is not:\n{problem_lines(_highest(judgement))}"
        )
    text = f"{change_text(old, new)}; by the old one {above} of {len(scores)} held-out pictures would be NOK"
    promised = old.false_reject_rate_high
    if above <= promised * len(scores) or above <= 1:
        return text
    return (
        f"{text}, more than the {promised:.1%} that it promised at most: the line has changed, or some of these are no "
        f"good parts:\n{problem_lines(_highest(judgement))}"
    )


def _highest(judgement: Judgement) -> list[str]:
    return [f"{high.picture.path}: {high.score:.4g}" for high in judgement.held_out[Precision.FP32].highest]


def _measured(graphs: Mapping[Precision, bytes], golden: NDArray[np.uint8]) -> dict[Precision, list[Inspection]]:
    measured = {}
    for precision, graph in graphs.items():
        with emulated_engine(graph) as engine:
            measured[precision] = [engine.infer(picture[None]) for picture in golden]
    return measured


def _golden_pictures(bundle: Bundle) -> NDArray[np.uint8]:
    """The golden pictures (n, H, W, 3) as they were prepared."""
    read = [cv2.imread(str(bundle.folder / golden.picture), cv2.IMREAD_COLOR) for golden in bundle.manifest.golden]
    return np.asarray(np.stack([picture for picture in read if picture is not None]), np.uint8)
