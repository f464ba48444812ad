"""What large inputs cost: PatchCore's FP32 graph in onnxruntime on one thread, from 320 x 320 to 2048 x 2048.

    python -m benchmarks.cost.large_inputs [--sizes 320 640 1024 2048] [--entries 4000] [--rounds 3]

The bank holds made-up entries, as time and memory depend on their number alone. Each size runs in a process of its own,
whose largest memory is told. Times are of the process.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

SIZES = (320, 640, 1024, 2048)


def main(arguments: Sequence[str] | None = None) -> None:
    """Export and run every size, and print a table."""
    options = command_line().parse_args(arguments)
    if options.graph is not None:
        print(*run(options.graph, options.rounds))
        return
    print("| input | cells | graph MB | ms | largest memory MB |")
    print("|---|---:|---:|---:|---:|")
    with TemporaryDirectory() as folder:
        for side in options.sizes:
            graph, cells = exported(Path(folder), side, options.entries)
            child = [sys.executable, "-m", "benchmarks.cost.large_inputs", "--graph", str(graph)]
            done = subprocess.run(
                [*child, "--rounds", str(options.rounds)], capture_output=True, text=True, check=True, timeout=600
            )
            milliseconds, megabytes = map(float, done.stdout.split())
            size = graph.stat().st_size / 1e6
            print(f"| {side}x{side} | {cells} | {size:.1f} | {milliseconds:.0f} | {megabytes:.0f} |", flush=True)


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--entries", type=int, default=4000, help="of the bank")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--graph", type=Path, help=argparse.SUPPRESS)
    return parser


def exported(folder: Path, side: int, entries: int) -> tuple[Path, int]:
    """The graph's file and its number of cells."""
    import torch

    from edge_build.detectors.backbones.backbone import load_backbone
    from edge_build.detectors.patchcore.model import PatchCore, PatchFeatures, Projection
    from edge_build.graphs.export import export_graph
    from edge_build.recipe.detector_settings import PatchcoreSettings

    settings = PatchcoreSettings()
    features = PatchFeatures(load_backbone(settings.backbone, settings.stages))
    with torch.inference_mode():
        dimensions = features(torch.zeros(1, 64, 64, 3, dtype=torch.uint8)).shape[1]
    random = torch.Generator().manual_seed(0)
    bank = torch.randn(entries, dimensions, generator=random)
    projection = Projection(torch.zeros(dimensions), torch.ones(dimensions), None)
    detector = PatchCore(features, projection, bank, torch.ones(entries), (side, side), 9, False)
    path = folder / f"{side}.onnx"
    path.write_bytes(export_graph(detector, side, side))
    return path, detector.grid[0] * detector.grid[1]


def run(graph: Path, rounds: int) -> tuple[float, float]:
    """Milliseconds of the process per picture, and its largest memory in megabytes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    times = []
    for _ in range(rounds):
        started = time.process_time()
        session.run(None, {"image": picture})
        times.append(1e3 * (time.process_time() - started))
    return float(np.median(times)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
