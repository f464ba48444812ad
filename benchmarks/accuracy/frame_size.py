"""What a bundle makes of good pictures that show less or more than the ones it learned from: why 5 % are allowed.

    python -m benchmarks.accuracy.frame_size BUNDLE PICTURES

PICTURES is a folder of good pictures that the bundle did not learn from. They are cropped evenly along one side, or
continued by their mirror image, and then resized to the model's size as any frame is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle.reader import open_bundle
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.imaging.reader import list_pictures, read_picture
from edge_runtime.records import Precision

Picture = NDArray[np.uint8]
CHANGES = (0.0, -0.02, -0.05, -0.10, -0.20, 0.02, 0.05, 0.10)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each side and change of its length."""
    options = command_line().parse_args(arguments)
    bundle = open_bundle(options.bundle)
    height, width = bundle.manifest.height, bundle.manifest.width
    threshold = bundle.threshold(Precision.FP32).score
    pictures = [read_picture(path) for path in list_pictures(options.pictures, True)]
    print("| side | changed by | median score, of the threshold | rejected |\n|---|---:|---:|---:|")
    with OnnxruntimeEngine(bundle.graph(Precision.FP32), threads=1) as engine:
        for axis, side in enumerate(("height", "width")):
            for change in CHANGES:
                frames = (preprocess(_changed(picture, axis, change), height, width) for picture in pictures)
                scores = np.array([engine.infer(frame).score for frame in frames]) / threshold
                print(f"| {side} | {change:+.0%} | {np.median(scores):.2f} | {np.mean(scores > 1):.1%} |", flush=True)


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("pictures", type=Path)
    return parser


def _changed(picture: Picture, axis: int, change: float) -> Picture:
    """The picture with one side longer or shorter by a share of it, as much at both ends."""
    length = picture.shape[axis]
    pixels = round(abs(change) * length)
    before, after = pixels // 2, pixels - pixels // 2
    if change < 0:
        return np.ascontiguousarray(picture.take(range(before, length - after), axis))
    ends = [(before, after) if axis == side else (0, 0) for side in range(2)]
    return np.pad(picture, (*ends, (0, 0)), mode="reflect")


if __name__ == "__main__":
    main()
