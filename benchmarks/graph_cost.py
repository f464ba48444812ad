"""What a bundle's graph costs beside its backbone alone, and beside other bundles, on one thread, in one run.

    python benchmarks/graph_cost.py BUNDLE [BUNDLE...] [--rounds 60]

The floor of the first bundle is its EfficientNet, cut at the last stage that CPR-Faster looks at. All graphs take
turns, so that a busy machine slows all of them; each has the median and the least of its times.
"""

from __future__ import annotations

import argparse
import io
import warnings
from pathlib import Path

import torch
from _turns import any_picture, time_in_turns
from torch import Tensor, nn

from edge_build.backbone import Backbone, load_backbone, stage_at
from edge_build.cpr import STRIDES
from edge_runtime.bundle import open_bundle
from edge_runtime.records import Precision


class Floor(nn.Module):
    """The backbone alone: a picture in, both maps out."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        fine, coarse = self.backbone(image)
        return fine, coarse


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    bundles = [open_bundle(path) for path in arguments.bundles]
    first = bundles[0].manifest
    graphs = {"backbone alone": floor_graph(first.backbone, first.height, first.width)}
    pictures = {"backbone alone": any_picture(first.height, first.width)}
    for bundle in bundles:
        manifest = bundle.manifest
        name = f"{manifest.name}-{manifest.version} ({manifest.detector}, {manifest.height} x {manifest.width})"
        graphs[name] = bundle.graph(Precision.FP32).read_bytes()
        pictures[name] = any_picture(manifest.height, manifest.width)
    times = time_in_turns(graphs, pictures, arguments.rounds)
    floor = times["backbone alone"]
    for name, taken in times.items():
        print(f"{name}: median {taken.median:.1f} ms, least {taken.least:.1f} ms, {taken.over(floor)} the backbone")


def floor_graph(variant: str, height: int, width: int) -> bytes:
    """The backbone cut at CPR-Faster's last stage, as ONNX."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in edge_build.export
        torch.onnx.export(
            Floor(load_backbone(variant, tuple(stage_at(variant, stride) for stride in STRIDES))),
            (torch.from_numpy(any_picture(height, width)),),
            buffer,  # type: ignore[arg-type]  # as in edge_build.export
            dynamo=False,
            opset_version=17,
            input_names=["image"],
        )
    return buffer.getvalue()


if __name__ == "__main__":
    main()
