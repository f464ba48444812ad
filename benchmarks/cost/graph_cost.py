"""What a bundle's graph costs beside its backbone alone, and beside other bundles, on one thread, in one run.

    python -m benchmarks.cost.graph_cost BUNDLE [BUNDLE...] [--rounds 60]

The floor is the first bundle's backbone, cut at the last stage that its detector looks at; the backbone cut where CPR's
trained branches end (stride 8) is timed, too. All graphs take turns, so that a busy machine slows all of them; each has
the median and the least of its times.
"""

from __future__ import annotations

import argparse
import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.shared.turns import any_picture, time_graphs
from edge_build.detectors.backbones.backbone import Backbone, load_backbone, stage_at
from edge_build.detectors.combined.learner import memory_stages
from edge_build.detectors.cpr.learner import taps_of
from edge_build.detectors.cpr.model import STRIDES
from edge_build.recipe.recipe import recipe_from_yaml
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.records import Precision


class Floor(nn.Module):
    """The backbone alone: a picture in, the maps of its taps out."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.backbone(image))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = command_line().parse_args(arguments)
    bundles = [open_bundle(path) for path in options.bundles]
    first = bundles[0].manifest
    taps = taps_looked_at(first)
    shallow = tuple(stage_at(first.backbone, stride) for stride in STRIDES)
    names = {f"{first.backbone} to stage {cut[-1]}": cut for cut in (taps, shallow)}
    graphs = {name: floor_graph(first.backbone, cut, first.height, first.width) for name, cut in names.items()}
    pictures = {name: any_picture(first.height, first.width) for name in names}
    for bundle in bundles:
        manifest = bundle.manifest
        name = f"{manifest.label} ({manifest.detector}, {manifest.height} x {manifest.width})"
        graphs[name] = bundle.graph(Precision.FP32).read_bytes()
        pictures[name] = any_picture(manifest.height, manifest.width)
    times = time_graphs(graphs, pictures, options.rounds)
    floor = f"{first.backbone} to stage {taps[-1]}"
    for name, taken in times.items():
        print(f"{name}: median {taken.median:.1f} ms, least {taken.least:.1f} ms, {taken.over(times[floor])} {floor}")


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=60)
    return parser


def taps_looked_at(manifest: Manifest) -> tuple[int, ...]:
    """The stages that a bundle's detector takes maps from."""
    recipe = recipe_from_yaml(manifest.recipe, Path("the bundle's recipe"))
    if manifest.detector == "patchcore":
        return recipe.patchcore.stages
    memory = memory_stages(manifest.backbone) if manifest.detector == "combined" else ()
    return tuple(sorted({*taps_of(recipe.cpr), *memory}))


def floor_graph(variant: str, taps: tuple[int, ...], height: int, width: int) -> bytes:
    """A backbone whose published weights are installed, cut at the last of the taps, as ONNX."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in edge_build.graphs.export
        torch.onnx.export(
            Floor(load_backbone(variant, taps)),
            (torch.from_numpy(any_picture(height, width)),),
            buffer,  # type: ignore[arg-type]  # as in edge_build.graphs.export
            dynamo=False,
            opset_version=17,
            input_names=["image"],
        )
    return buffer.getvalue()


if __name__ == "__main__":
    main()
