"""What seeing costs: frames of 2 and 5 megapixels through `see`, on one core, beside decoding the same frame (JPEG).

    python -m benchmarks.cost.see [--rounds 40] [--megapixels 2 5]

Views are learned from drawn parts. Times are of the process, so that a busy machine disturbs them little; what decoding
takes in the same run tells how fast the machine is.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np
from tests.support.drawn_parts import Drawn, Image, anywhere, bolt, cam, draw, write_pictures

from edge_build.data.dataset import scan_dataset
from edge_build.progress import SilentProgress
from edge_build.recipe.view_settings import ViewSettings
from edge_build.views.learn import learn_view
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.imaging.see import FrameViewer

FRAMES = {2.0: (1200, 1600), 5.0: (1944, 2592)}  # usual sensors by megapixels: height, width
DRAWN = (320, 400)
PARTS: dict[str, tuple[Drawn, str]] = {"long part, axis": (bolt(), "axis"), "round part, template": (cam(), "template")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both parts in both sizes, and print a table."""
    options = command_line().parse_args(arguments)
    rounds = options.rounds
    cv2.setNumThreads(1)
    print("| frame | part | model's picture | see ms | resize alone ms | decode ms |")
    print("|---|---|---|---:|---:|---:|")
    for megapixels in options.megapixels:
        shape = FRAMES.get(megapixels) or shape_of(megapixels)
        for name, (part, pose) in PARTS.items():
            viewer = viewer_for(part, pose, shape)
            random = np.random.default_rng(1)
            frames = [frame_of(part, random, shape) for _ in range(6)]
            coded = [cv2.imencode(".jpg", frame)[1] for frame in frames]
            see = median_ms(lambda n: viewer.see(frames[n % 6]), rounds)  # noqa: B023  # called at once
            resize = median_ms(lambda n: preprocess(frames[n % 6], *viewer.size), rounds)  # noqa: B023
            decode = median_ms(lambda n: cv2.imdecode(coded[n % 6], cv2.IMREAD_COLOR), rounds)  # noqa: B023
            cells = f"{viewer.height}x{viewer.width} | {see:.2f} | {resize:.2f} | {decode:.2f}"
            print(f"| {megapixels:g} MP | {name} | {cells} |", flush=True)


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--megapixels", type=float, nargs="+", default=list(FRAMES))
    return parser


def shape_of(megapixels: float) -> tuple[int, int]:
    """Height and width of a frame of 3 to 4."""
    height = round((0.75e6 * megapixels) ** 0.5)
    return height, height * 4 // 3


def frame_of(part: Drawn, random: np.random.Generator, shape: tuple[int, int]) -> Image:
    """A drawn part in a frame of that size."""
    return np.asarray(cv2.resize(draw(part, anywhere(random), random, DRAWN), shape[::-1]), np.uint8)


def viewer_for(part: Drawn, pose: str, shape: tuple[int, int]) -> FrameViewer:
    """A view that was learned from frames of that size."""
    with TemporaryDirectory() as folder:
        write_pictures(Path(folder), lambda random: frame_of(part, random, shape), 10)
        settings = ViewSettings.model_validate({"pose": pose})
        return FrameViewer(learn_view(scan_dataset(Path(folder)).good, settings, 320, SilentProgress()).view)


def median_ms(work: Callable[[int], object], rounds: int) -> float:
    """Of the process, per call."""
    times = []
    for number in range(rounds):
        started = time.process_time()
        work(number)
        times.append(1e3 * (time.process_time() - started))
    return float(np.median(times))


if __name__ == "__main__":
    main()
