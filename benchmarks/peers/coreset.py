"""The coreset search beside anomalib 2.7's KCenterGreedy, on the same features, in one run.

    python -m benchmarks.peers.coreset --peer-python PATH [--data FOLDER] [--rows 100000] [--threads N] [--json F]

Run it with the Python that this product is installed in (extra `host`). The peer needs its own environment (7 GB):

    python3.11 -m venv peer-venv && peer-venv/bin/pip install anomalib==2.7.0

The features are what PatchCore learns from: EfficientNet-Lite0's stages 3 and 5 on pictures at 256 x 256, 1,024
patches of 152 dimensions a picture. The pictures are those of `--data`, or good parts of the rendered sample. Both
programs choose 1 % of the same rows, each in a process of its own with the same number of threads, this one before and
after the peer, so that a busy machine shows; its slower run counts. The covering radius (the largest distance of any
row to its nearest chosen one, on the features themselves) of both is measured by the same code.

Memory is what the search needs beyond the features in hand. It is measured for this product at half the rows, too.

The peer takes minutes. With `--peer-steps N` it stops after N choices; its seconds are then an estimate, marked as
such, and it has no radius.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge_build.detectors.backbones.backbone import load_backbone
from edge_build.detectors.coreset import covering_radius
from edge_build.detectors.patchcore.model import PatchFeatures
from edge_build.progress import SilentProgress
from edge_build.sample.dataset import SampleCounts, make_sample
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.imaging.reader import list_pictures, read_picture

SIZE = 256
PATCHES = (SIZE // 8) ** 2
DIMENSIONS = 152
RATIO = 0.01
WORKER = Path(__file__).parent / "in_peer_environment" / "measure_coreset.py"


@dataclass(frozen=True)
class Search:
    """One search, measured. `radius` is None, and `estimated` true, when it was stopped early."""

    name: str
    rows: int
    entries: int
    seconds: float
    cpu_seconds: float
    extra_bytes: int
    radius: float | None
    estimated: bool


def main(arguments: Sequence[str] | None = None) -> None:
    """Features once, four searches, one table."""
    options = command_line().parse_args(arguments)
    require_peer(options.peer_python)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        features = features_of_pictures(options.data or rendered_pictures(work, options.rows), options.rows)
        first = search("this", sys.executable, features, options.threads, work)
        peer = search("anomalib", options.peer_python, features, options.threads, work, options.peer_steps)
        second = search("this", sys.executable, features, options.threads, work)
        smaller = search("this", sys.executable, features[: options.rows // 2], options.threads, work)
    this = max(first, second, key=lambda s: s.seconds)
    print(report(this, peer, smaller, options.threads))
    if options.json:
        searches = {"this": this, "peer": peer, "half": smaller}
        options.json.write_text(json.dumps({n: asdict(s) for n, s in searches.items()}, indent=1) + "\n")


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True, help="a Python that has anomalib==2.7.0")
    parser.add_argument("--data", type=Path, help="folder of pictures; default: rendered ones")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both; default: all cores")
    parser.add_argument("--peer-steps", type=int, help="stop the peer early and estimate")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    return parser


def require_peer(python: str) -> None:
    """Exit when that Python is not there, or has no anomalib."""
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('anomalib') is None)"
    if shutil.which(python) is None or subprocess.run([python, "-c", look]).returncode != 0:
        sys.exit(f"--peer-python {python} is no Python with anomalib==2.7.0: make it as the help says")


def rendered_pictures(work: Path, rows: int) -> Path:
    """A folder of enough rendered good parts."""
    make_sample(work / "sample", 0, SampleCounts(-(-rows // PATCHES), 0, 0), SilentProgress())
    return work / "sample"


def features_of_pictures(folder: Path, rows: int) -> NDArray[np.float32]:
    """Patch features (rows, 152) of the first pictures in name order."""
    paths = list_pictures(folder, recursive=True)[: -(-rows // PATCHES)]
    if len(paths) * PATCHES < rows:
        sys.exit(f"{folder} has {len(paths)} pictures of {PATCHES} patches, too few for {rows}: lower --rows")
    extractor = PatchFeatures(load_backbone("efficientnet-lite0", (3, 5)))
    maps = []
    with torch.inference_mode():
        for path in paths:
            maps.append(extractor(torch.from_numpy(preprocess(read_picture(path), SIZE, SIZE))))
    features: NDArray[np.float32] = torch.cat(maps).permute(0, 2, 3, 1).flatten(0, 2)[:rows].contiguous().numpy()
    return features


def search(
    who: str, python: str, features: NDArray[np.float32], threads: int, work: Path, steps: int | None = None
) -> Search:
    """Run one search as a process of its own, and measure the radius of what it chose."""
    entries = round(RATIO * len(features))
    np.save(work / "features.npy", features)
    arguments = [who, work / "features.npy", work / "out.json", "--count", entries, "--threads", threads]
    arguments += ["--steps", steps] if steps else []
    subprocess.run(
        [python, WORKER, *map(str, arguments)], check=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)}
    )
    found = json.loads((work / "out.json").read_text())
    share = 1 if steps is None else steps / entries
    return Search(
        name=found["name"],
        rows=len(features),
        entries=entries,
        seconds=found["seconds"] / share,
        cpu_seconds=found["cpu_seconds"] / share,
        extra_bytes=found["extra_bytes"],
        radius=None if steps else covering_radius(torch.from_numpy(features), torch.tensor(found["chosen"])),
        estimated=bool(steps),
    )


def report(this: Search, peer: Search, smaller: Search, threads: int) -> str:
    """The table, and what it says."""
    lines = [
        "| search | rows x 152 | entries | s | CPU s | covering radius | MB beyond the features |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(row(s) for s in (this, peer, smaller)),
        "",
        f"{os.cpu_count()} cores ({platform.machine()}), {threads} threads each.",
        f"{peer.seconds / this.seconds:.1f} times as fast (target: 8), {peer.cpu_seconds / this.cpu_seconds:.1f} times "
        "by CPU time.",
    ]
    if this.radius is not None and peer.radius is not None:
        lines.append(f"Radius {this.radius / peer.radius:.4f} of the peer's (target: at most 1.02).")
    lines.append(
        f"{this.rows / smaller.rows:.1f} times the rows take {memory(this) / memory(smaller):.2f} times the memory, "
        f"features included (this: {memory(this) / 1e6:.0f} MB, the peer: {memory(peer) / 1e6:.0f} MB)."
    )
    return "\n".join(lines)


def memory(s: Search) -> float:
    """Bytes of the features and of what the search needed beyond them."""
    return s.rows * DIMENSIONS * 4 + s.extra_bytes


def row(s: Search) -> str:
    """One line of the table."""
    radius = "" if s.radius is None else f"{s.radius:.4f}"
    about = "about " if s.estimated else ""
    return (
        f"| {s.name}{' (stopped early, seconds estimated)' if s.estimated else ''} | {s.rows:,} | {s.entries:,} "
        f"| {about}{s.seconds:.1f} | {about}{s.cpu_seconds:.1f} | {radius} | {s.extra_bytes / 1e6:.1f} |"
    )


if __name__ == "__main__":
    main()
