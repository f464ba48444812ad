"""Which frames the limits of the good pictures refuse: none of the test pictures, and all that are useless.

    python -m benchmarks.accuracy.frame_health DATA [--categories screw ...] [--json FILE]

DATA holds one folder for each category in MVTec's layout. The limits are set on train/good alone; the test pictures,
good and defective, are measured as they are (all must be judged), and after a fault was put on them (all must be
refused). Blur is Gaussian, and comes before the sensor's noise. Times are a ratio against decoding the same pictures.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.imaging.reader import list_pictures, read_picture
from edge_runtime.inspection.frame_checks import frame_fault, limits_from_good, measure_frame

Picture = NDArray[np.uint8]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each category and fault."""
    options = command_line().parse_args(arguments)
    if missing := [c for c in options.categories if not (options.data / c / "train/good").is_dir()]:
        sys.exit(f"{options.data} has no train/good for {', '.join(missing)}")
    rows = [row for category in options.categories for row in _measure(options.data / category)]
    print("| category | pictures | what was done to them | refused |\n|---|---:|---|---:|")
    for row in rows:
        print(f"| {row['category']} | {row['pictures']} | {row['fault']} | {row['refused']:.1%} |")
    costs = ", ".join(f"{c}: {_cost(options.data / c):.1%}" for c in options.categories)
    print(f"\nMeasuring a frame takes {costs} of decoding it.")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def _measure(folder: Path) -> list[dict[str, object]]:
    limits = limits_from_good(
        [measure_frame(read_picture(path)) for path in list_pictures(folder / "train/good", True)]
    )
    pictures = [read_picture(path) for path in list_pictures(folder / "test", True)]
    random = np.random.default_rng(0)
    return [
        {
            "category": folder.name,
            "pictures": len(pictures),
            "fault": name,
            "refused": float(np.mean([frame_fault(fault(p, random), limits) is not None for p in pictures])),
        }
        for name, fault in FAULTS.items()
    ]


def _noisy(picture: Picture, random: np.random.Generator, level: float) -> Picture:
    noise = np.zeros(picture.shape, np.int16)
    cv2.setRNGSeed(int(random.integers(1 << 30)))
    cv2.randn(noise, np.zeros(3), np.full(3, level))
    return np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U), np.uint8)


def _blurred(sigma: float, noise: float) -> Callable[[Picture, np.random.Generator], Picture]:
    return lambda p, random: _noisy(np.asarray(cv2.GaussianBlur(p, (0, 0), sigma), np.uint8), random, noise)


def _hot(picture: Picture, random: np.random.Generator) -> Picture:
    dark = _noisy(np.zeros_like(picture), random, 1.0)
    dark[random.random(dark.shape[:2]) < 0.002] = 255
    return dark


FAULTS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "nothing": lambda p, random: p,
    "noise 3": lambda p, random: _noisy(p, random, 3),
    "a tenth darker": lambda p, random: np.asarray(p * 0.9, np.uint8),
    "blur 2": _blurred(2, 0),
    "blur 3": _blurred(3, 0),
    "blur 3, noise 3": _blurred(3, 3),
    "blur 6, noise 3": _blurred(6, 3),
    "black, 0.2 % hot pixels": _hot,
    "a tenth of the light": lambda p, random: np.asarray(p * 0.1, np.uint8),
    "white": lambda p, random: np.asarray(np.clip(p.astype(np.int16) + 250, 0, 255), np.uint8),
    "a quarter of the size": lambda p, random: np.asarray(cv2.resize(p, None, fx=0.25, fy=0.25), np.uint8),
    "turned by 90 degrees": lambda p, random: np.ascontiguousarray(np.rot90(p)),
    "half the height": lambda p, random: np.ascontiguousarray(p[: p.shape[0] // 2]),
}


def _cost(folder: Path) -> float:
    """The median time of a look, as a share of decoding the same pictures."""
    measurements, decoded = [], []
    for path in list_pictures(folder / "train/good", True)[:40]:
        began = time.perf_counter()
        picture = read_picture(path)
        read = time.perf_counter()
        measure_frame(picture)
        decoded.append(read - began)
        measurements.append(time.perf_counter() - read)
    return float(np.median(measurements) / np.median(decoded))


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--categories", nargs="+", default=["screw", "ball_screw", "commutator"])
    parser.add_argument("--json", type=Path)
    return parser


if __name__ == "__main__":
    main()
