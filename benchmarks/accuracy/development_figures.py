"""What detectors measure on the development sets: image AUROC, AUPRO and pixel AP of each, and the means.

    python -m benchmarks.accuracy.development_figures DIR [--sets weave metal] [--pool 1600] [--steps 600]

DIR is what benchmarks.accuracy.development wrote. `combined` and `cpr-faster` share one training: the cascade of one
is the other. The last column is image AUROC of `combined` less that of the better of the other two. Settings may be
chosen by these figures; those of test pictures are for benchmarks.accuracy.precisions and benchmarks.peers. A line is
printed as soon as it is known.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edge_build.data.dataset import Dataset, scan_dataset
from edge_build.data.pictures import GOOD, load_prepared, read_mask
from edge_build.detection_metrics import Metrics, measure
from edge_build.detectors.combined.learner import CombinedLearner
from edge_build.detectors.patchcore.learner import PatchcoreLearner
from edge_build.progress import Progress, SilentProgress
from edge_build.recipe.detector_settings import CombinedSettings, CprSettings, PatchcoreSettings
from edge_build.recipe.input_size import SIDE_STEP
from edge_runtime.imaging.see import FrameViewer, whole_frame_viewer

DETECTORS = ("patchcore", "cpr-faster", "combined")
KNOWN = 5  # two of so many good pictures are known, but not learned from, as in a build


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn and measure on every set."""
    options = command_line().parse_args(arguments)
    cpr = CprSettings(pool=options.pool, steps=options.steps, kind=options.kind, textures=options.textures)
    print(f"| set | {' | '.join(DETECTORS)} | combined less the better |\n|---|{'---|' * 4}")
    found: list[dict[str, Metrics]] = []
    for folder in sorted(path for path in options.folder.iterdir() if not options.sets or path.name in options.sets):
        found.append(measured(scan_dataset(folder), options.scale, cpr, options.entries, options.seed))
        print(f"| {folder.name} | {line(found[-1:])} |", flush=True)
    print(f"| mean | {line(found)} |")


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--sets", nargs="*", help="only these, all without")
    parser.add_argument("--scale", type=float, default=1.0, help="of the pictures, before they are learned from")
    parser.add_argument("--pool", type=int, default=1600)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--entries", type=int, default=CombinedSettings().entries, help="of the memory of combined")
    parser.add_argument("--kind", default="auto", help="of cpr: auto, object, texture")
    parser.add_argument("--textures", type=Path, help="besides those that a program makes")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def measured(dataset: Dataset, scale: float, cpr: CprSettings, entries: int, seed: int) -> dict[str, Metrics]:
    """Every detector on one set, by its name."""
    native, progress = dataset.sizes[0], SilentProgress()
    height, width = (max(2, round(side * scale / SIDE_STEP)) * SIDE_STEP for side in (native.height, native.width))
    viewer = whole_frame_viewer(height, width)
    good = load_prepared(dataset.good, viewer, progress)
    known = [row for row in range(len(good)) if row % KNOWN in (1, 3)]
    chosen = [row for row in range(len(good)) if row not in known]
    combined = CombinedLearner(good, CombinedSettings(entries=entries), cpr, seed, progress).learn(chosen, known)
    patchcore = PatchcoreLearner(good, PatchcoreSettings(), seed, progress).learn(range(len(good)))
    modules = dict(zip(DETECTORS, (patchcore, combined.cascade, combined), strict=True))
    return {name: metrics_of(module, dataset, viewer, progress) for name, module in modules.items()}


def metrics_of(detector: nn.Module, dataset: Dataset, viewer: FrameViewer, progress: Progress) -> Metrics:
    """Of all test pictures, by torch."""
    images = load_prepared(dataset.test, viewer, progress)
    with torch.inference_mode():
        pairs = [detector(torch.from_numpy(image[None])) for image in images]
    scores, maps = np.array([float(pair[0]) for pair in pairs]), np.stack([pair[1][0].numpy() for pair in pairs])
    defect = np.array([picture.label != GOOD for picture in dataset.test])
    return measure(scores, defect, maps, [read_mask(p, viewer.height, viewer.width) for p in dataset.test])


def line(sets: Sequence[dict[str, Metrics]]) -> str:
    """The cells of one line: means over some sets, in percent."""

    def image_auroc(each: dict[str, Metrics], name: str) -> float:
        return 100 * (each[name].image_auroc or 0)

    cells = []
    for name in DETECTORS:
        pixels = [(100 * (each[name].aupro or 0), 100 * (each[name].pixel_ap or 0)) for each in sets]
        aupro, precision = np.mean(pixels, axis=0)
        cells.append(f"{np.mean([image_auroc(each, name) for each in sets]):.1f} / {aupro:.1f} / {precision:.1f}")
    gains = [image_auroc(each, "combined") - max(image_auroc(each, name) for name in DETECTORS[:-1]) for each in sets]
    return f"{' | '.join(cells)} | {np.mean(gains):+.1f}"


if __name__ == "__main__":
    main()
