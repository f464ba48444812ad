"""What very many good pictures cost CPR-Faster: a build with all of them as references, or with so many, and serving.

    python -m benchmarks.cost.many_pictures --work WORK [--count 2000] [--size 128] [--references 200]

The pictures are parts of the rendered sample, each many times, turned, moved and lit a little differently. Little is
trained: what is measured is time and memory of everything else, and how long the graph takes for a picture.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.progress import SilentProgress, progress_for_stderr
from edge_build.recipe.recipe import read_recipe
from edge_build.sample.dataset import SampleCounts, make_sample
from edge_build.workflows.build import build
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.imaging.reader import list_pictures, read_picture
from edge_runtime.records import Precision

ROUNDS = 30


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the pictures, build, serve, print."""
    options = command_line().parse_args(arguments)
    pictures = options.work / f"pictures-{options.count}-{options.size}"
    if not pictures.exists():
        make_pictures(pictures, options.count, options.size)
    name = f"many-{options.count}-{options.size}-{options.references or 'all'}"
    text = (
        f"name: {name}\nversion: 1\ndataset: {pictures.resolve()}\ndetector: cpr-faster\nsize: {options.size}\n"
        f"cpr: {{pool: 100, steps: 40, references: {options.references or 'null'}}}\n"
    )
    recipe = options.work / f"{name}.yaml"
    recipe.write_text(text)
    started = time.monotonic()
    built = build(read_recipe(recipe), text, options.work, progress_for_stderr())
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    graph = open_bundle(Path(built.folder)).graph(Precision.FP32).read_bytes()
    print(
        f"{options.count} pictures at {options.size}, {built.bank_entries} references: built in {seconds:.0f} s, "
        f"at most {peak:.1f} GiB, a graph of {len(graph) / 2**20:.0f} MiB, "
        f"{milliseconds(graph, options.size):.1f} ms a picture on one thread"
    )


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--references", type=int)
    return parser


def make_pictures(folder: Path, count: int, size: int) -> None:
    """Turned and moved copies of the sample's good parts, PNG."""
    source = folder.parent / "sample"
    if not source.exists():
        make_sample(source, 0, SampleCounts(min(count, SampleCounts.train), 0, 0), SilentProgress())
    paths = list_pictures(source / "train/good", recursive=True)
    parts = [np.asarray(cv2.resize(read_picture(path), (size, size)), np.uint8) for path in paths]
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:05}.png"), jittered(parts[number % len(parts)], random))


def jittered(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Turned by up to 10 degrees, moved by up to a fiftieth, lit by up to 5 % differently, with noise of its own."""
    height, width = picture.shape[:2]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-10, 10), 1)
    move[:, 2] += random.uniform(-0.02, 0.02, 2) * width
    moved = cv2.warpAffine(picture, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    noisy = moved * random.uniform(0.95, 1.05) + random.normal(0, 2, moved.shape)
    return np.asarray(np.clip(np.round(noisy), 0, 255), np.uint8)


def milliseconds(graph: bytes, size: int) -> float:
    """The median time of a picture."""
    picture = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    times = []
    with OnnxruntimeEngine(graph, threads=1) as engine:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            engine.infer(picture)
            times.append(1e3 * (time.perf_counter() - started))
    return float(np.median(times))


if __name__ == "__main__":
    main()
