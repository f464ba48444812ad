"""One greedy k-centre search on features from a file, measured: what `benchmarks/peers/coreset.py` runs as a process.

    python measure_coreset.py this|anomalib FEATURES.npy OUT.json --count N [--steps N] [--threads N]

`anomalib` is its KCenterGreedy as released, and runs in its own environment; nothing of this product is imported then.
OUT gets the chosen rows and what choosing them took. Linux only: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch


def main() -> None:
    """Load the features, choose, write what it took."""
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    np.random.seed(0)  # the peer's projection draws from NumPy's global state
    features = torch.from_numpy(np.load(options.features))
    choose = choose_by_anomalib if options.who == "anomalib" else choose_by_this
    name = "anomalib" if options.who == "anomalib" else "edge-inspection"
    choose(features[:1000], 10, 10)  # imports, and what libraries set up at first use
    Path("/proc/self/clear_refs").write_text("5")  # start the peak again, from what is in use now
    before, started, cpu_started = peak_bytes(), time.monotonic(), time.process_time()
    chosen = choose(features, options.count, options.steps or options.count)
    taken = {
        "name": f"{name} {version(name)}, torch {torch.__version__}",
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "extra_bytes": peak_bytes() - before,
        "chosen": chosen,
    }
    options.out.write_text(json.dumps(taken))


def parse_options() -> argparse.Namespace:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("who", choices=["this", "anomalib"])
    parser.add_argument("features", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, required=True, help="rows to choose")
    parser.add_argument("--steps", type=int, help="stop after so many (anomalib only)")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def choose_by_this(features: torch.Tensor, count: int, steps: int) -> list[int]:
    """This product's search; `steps` is `count`."""
    from edge_build.detectors.coreset import k_center_greedy
    from edge_build.progress import SilentProgress

    chosen: list[int] = k_center_greedy(features, count, seed=0, progress=SilentProgress()).tolist()
    return chosen


def choose_by_anomalib(features: torch.Tensor, count: int, steps: int) -> list[int]:
    """The peer's search, stopped after `steps` choices."""
    warnings.filterwarnings("ignore")
    from anomalib.models.components.sampling.k_center_greedy import (  # type: ignore[import-not-found,unused-ignore]
        KCenterGreedy,
    )

    search = KCenterGreedy(features, sampling_ratio=(count + 0.5) / len(features))  # it rounds the product down
    if search.coreset_size != count:
        raise ValueError(f"the peer would choose {search.coreset_size} rows, not {count}")
    search.coreset_size = steps
    chosen: list[int] = search.select_coreset_idxs()
    return chosen


def peak_bytes() -> int:
    """The most memory in use since the peak was started. (ru_maxrss would begin with that of the parent process.)"""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError("/proc/self/status has no VmHWM: this needs Linux")
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
