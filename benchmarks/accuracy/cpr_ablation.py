"""What each part of CPR-Faster adds, as in Table VII of its paper: one category, one part left out at a time.

    python -m benchmarks.accuracy.cpr_ablation CATEGORY --textures FOLDER [--size 320] [--pool 1600] [--steps 600]

- without GRB: ten references at random instead of the most alike, in training and at test;
- without FEB: everything is foreground, in the made-up defects, in the sampling and at test;
- without LRB: raw features at unit length are compared;
- without pair weighting: all remote pairs count the same;
- one scale: the trained branch at stride 4 alone; two scales: without the third, coarser tap;
- without scaling: a distance counts the same everywhere (docs/decisions/0006).

All have the same good pictures, seed and steps; what does not touch the training shares one training. CATEGORY is a
folder of parts in MVTec's layout with masks. Figures are of the test pictures, through the exported graphs: they
explain, nothing is chosen by them. A line is printed as soon as it is known.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.shared.cpr_parts import (
    CprParts,
    branches_to_train,
    detector_of,
    load_parts,
    trained,
    training_set_of,
)
from edge_build.data.pictures import GOOD, load_prepared, read_mask
from edge_build.detection_metrics import Metrics, measure
from edge_build.detectors.cpr import pair_loss
from edge_build.detectors.cpr.foreground import Foreground
from edge_build.detectors.cpr.matching import Direction
from edge_build.detectors.cpr.model import Cpr
from edge_build.detectors.cpr.retrieval import GlobalBranch
from edge_build.detectors.cpr.training_pictures import Pool
from edge_build.detectors.cpr.training_set import TrainingSet
from edge_build.detectors.cpr.training_state import Branches
from edge_build.graphs.export import export_graph
from edge_build.progress import progress_for_stderr
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.imaging.see import whole_frame_viewer


class AnyReferences(GlobalBranch):
    """Ten references that do not depend on the picture."""

    def forward(self, fine: Tensor) -> Tensor:
        chosen = np.random.default_rng(0).permutation(int(self.log_references.shape[2]))[: self.count]
        return torch.from_numpy(chosen)


class Alike(nn.Module):
    """Describes all cells alike, so that nothing differs on its tap."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.ones_like(maps[:, :1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what must be trained, measure each variant."""
    options = command_line().parse_args(arguments)
    progress = progress_for_stderr()
    m = load_parts(options.category, options.size, options.textures, options.pictures, progress)
    rows = range(len(m.pictures))
    coarser = [Direction() for _ in m.coarser]

    def learned(training_set: TrainingSet, foreground: Foreground) -> Branches:
        return trained(m, training_set, foreground, branches_to_train(m, options.width), options.steps)[0]

    def show(name: str, detector: Cpr) -> None:
        found = test_metrics(m, detector, options.size)
        values = (found.image_auroc, found.pixel_auroc, found.aupro, found.pixel_ap)
        print(f"| {name} | {' | '.join(f'{100 * (value or 0):.1f}' for value in values)} |", flush=True)

    training_set = training_set_of(m, options.pool, m.foreground)
    print("| detector | image AUROC | pixel AUROC | AUPRO | pixel AP |\n|---|---:|---:|---:|---:|")
    if "training" not in options.without:
        whole = learned(training_set, m.foreground)
        show("whole", detector_of(m, [*whole, *coarser], m.foreground))
        show("two scales", detector_of(m, whole, m.foreground))
        show("one scale", detector_of(m, [whole[0], Alike()], m.foreground))
        show("without scaling", detector_of(m, [*whole, *coarser], m.foreground, scaled=False))
        show("without LRB", detector_of(m, [Direction(), Direction(), *coarser], m.foreground))
    if "weighting" not in options.without:
        weighting = pair_loss.remote_weights
        pair_loss.remote_weights = evenly
        show("without pair weighting", detector_of(m, [*learned(training_set, m.foreground), *coarser], m.foreground))
        pair_loss.remote_weights = weighting
    if "feb" not in options.without:
        everything = Foreground(torch.zeros(m.maps.fine.shape[1]), torch.ones(1))
        unaware = learned(training_set_of(m, options.pool, everything), everything)
        show("without FEB", detector_of(m, [*unaware, *coarser], everything))
    if "grb" not in options.without:
        random = AnyReferences(m.codebook, [m.maps.fine[row][None] for row in rows])
        blind = learned(with_any_references(training_set, m), m.foreground)
        show("without GRB", detector_of(m, [*blind, *coarser], m.foreground, random))


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("category", type=Path)
    parser.add_argument("--textures", type=Path)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--pictures", type=int, default=400, help="at most so many good pictures")
    parser.add_argument("--pool", type=int, default=1600)
    parser.add_argument("--steps", type=int, default=600)
    rows = ["training", "weighting", "feb", "grb"]
    parser.add_argument(
        "--without", nargs="*", choices=rows, default=[], help="leave out what is trained for these rows"
    )
    return parser


def evenly(unlike: Tensor) -> Tensor:
    """Instead of `remote_weights`: all remote pairs count the same."""
    remote = (unlike > 0).float()
    return remote * unlike.shape[1] / remote.sum(1, keepdim=True).clamp(min=1)


def with_any_references(training_set: TrainingSet, parts: CprParts) -> TrainingSet:
    """The same pictures, compared with random ones that are learned from."""
    random, train_rows = np.random.default_rng(0), np.array(parts.train_rows)

    def blind(pool: Pool) -> Pool:
        others = torch.from_numpy(random.choice(train_rows, tuple(pool.nearest.shape)))
        return dataclasses.replace(pool, nearest=others)

    training_set.pool, training_set.validation = blind(training_set.pool), blind(training_set.validation)
    return training_set


def test_metrics(parts: CprParts, detector: Cpr, size: int) -> Metrics:
    """Of all test pictures, by the graph in onnxruntime."""
    pictures = parts.dataset.test
    images = load_prepared(pictures, whole_frame_viewer(size, size), parts.progress)
    scores, maps = np.empty(len(images)), np.empty((len(images), size, size), np.float32)
    with OnnxruntimeEngine(export_graph(detector, size, size)) as engine:
        for number, image in enumerate(parts.progress.track("test pictures", list(images))):
            found = engine.infer(image[None])
            scores[number], maps[number] = found.score, found.anomaly_map
    defect = np.array([picture.label != GOOD for picture in pictures])
    return measure(scores, defect, maps, [read_mask(picture, size, size) for picture in pictures])


if __name__ == "__main__":
    main()
