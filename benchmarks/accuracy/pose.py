"""How exactly parts are located: drawn parts whose place is known, in frames that a view has not learned from.

    python -m benchmarks.accuracy.pose [--pictures 1000] [--learned 40] [--parts 4]

A view is learned from forty pictures of each part, and limits from them; then each further picture is located. What the
limits refuse counts as refused, all else is compared with the truth. The part's own origin and angle are those of the
learned mean, so that its mean difference from the truth is taken off first, in the part's coordinates.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tests.support.drawn_parts import Drawn, Pose, anywhere, bolt, cam, draw, write_pictures

from edge_build.data.dataset import scan_dataset
from edge_build.progress import SilentProgress
from edge_build.recipe.view_settings import ViewSettings
from edge_build.views.learn import learn_view
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.inspection.part_checks import part_fault

Errors = NDArray[np.float64]
WRONG = 3.0  # degrees
PARTS = {
    "bolt, bright on dark": (bolt(), 60, "axis"),
    "bolt, dark on bright": (bolt(50, 110), 190, "axis"),
    "cam, bright on dark": (cam(), 60, "template"),
    "cam, dark on bright": (cam(60, 150), 180, "template"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every part and print a table."""
    options = command_line().parse_args(arguments)
    parts = dict(list(PARTS.items())[: options.parts])
    pictures = options.pictures // len(parts)
    print("| part | pose | pictures | refused | median px | 99 % px | median degrees | 99 % degrees | wrong |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for seed, (name, (part, ground, pose)) in enumerate(parts.items()):
        refused, pixels, degrees = located(part, ground, pose, options.learned, pictures, seed)
        figures = (np.median(pixels), np.percentile(pixels, 99), np.median(degrees), np.percentile(degrees, 99))
        wrong = int((degrees > WRONG).sum())
        print(f"| {name} | {pose} | {pictures} | {refused} | {' | '.join(f'{f:.3f}' for f in figures)} | {wrong} |")


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000, help="in all")
    parser.add_argument("--learned", type=int, default=40, help="pictures of each part that its view is learned from")
    parser.add_argument("--parts", type=int, default=len(PARTS), help="so many, the first of the table")
    return parser


def located(part: Drawn, ground: int, pose: str, count: int, pictures: int, seed: int) -> tuple[int, Errors, Errors]:
    """How many were refused, and the errors of the others in pixels and degrees. count: pictures to learn from."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_pictures(root, lambda random: draw(part, anywhere(random), random, ground=ground), count, seed)
        good = scan_dataset(root).good
        learned = learn_view(good, ViewSettings.model_validate({"pose": pose}), 192, SilentProgress())
    viewer, record = FrameViewer(learned.view), learned.view.record
    assert record is not None
    random = np.random.default_rng((seed, 1))
    found, truth, refused = [], [], 0
    for _ in range(pictures):
        place = anywhere(random)
        sight = viewer.see(draw(part, place, random, ground=ground))
        if sight.placement is None or part_fault(sight, record.limits) is not None:
            refused += 1
            continue
        found.append(sight.placement)
        truth.append(place)
    turn = np.array([_wrapped(p.degrees - math.degrees(t.angle)) for p, t in zip(found, truth, strict=True)])
    turn = np.array([_wrapped(value - np.median(turn)) for value in turn])
    offsets = np.array([_in_part(p.x, p.y, t) for p, t in zip(found, truth, strict=True)])
    return refused, np.hypot(*(offsets - np.median(offsets, axis=0)).T), np.abs(turn)


def _in_part(x: float, y: float, truth: Pose) -> tuple[float, float]:
    """A place of the frame, as seen from the true part."""
    dx, dy = x - truth.x, y - truth.y
    cos, sin = math.cos(truth.angle), math.sin(truth.angle)
    return cos * dx + sin * dy, cos * dy - sin * dx


def _wrapped(degrees: float) -> float:
    return (degrees + 180) % 360 - 180


if __name__ == "__main__":
    main()
