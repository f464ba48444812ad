"""What references cost: the time of CPR-Faster's graph for one picture, with more and more of them, in one run.

    python -m benchmarks.cost.cpr_references CATEGORY [--references 10 100 1000] [--size 320] [--rounds 60]

CATEGORY is a folder in MVTec's layout, or one of good pictures. Its pictures are taken again and again to have enough:
the time depends on how many references there are, not on what they show. The local branch is trained for 8 steps, which
changes nothing in its time, either. All graphs take turns on one thread of onnxruntime. The goal is at most 15 % more
time from 100 to 1,000.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from benchmarks.shared.turns import any_picture, time_graphs
from edge_build.data.dataset import scan_dataset
from edge_build.data.pictures import load_prepared
from edge_build.detectors.cpr.learner import CprLearner
from edge_build.detectors.cpr.model import DIMENSIONS
from edge_build.graphs.export import export_graph
from edge_build.progress import progress_for_stderr
from edge_build.recipe.detector_settings import CprSettings
from edge_runtime.imaging.see import whole_frame_viewer

MOST_PICTURES = 40


def main(arguments: Sequence[str] | None = None) -> None:
    """Build one graph for each number of references, time them, print a line for each."""
    options = command_line().parse_args(arguments)
    progress, size = progress_for_stderr(), options.size
    good = scan_dataset(options.category, progress).good[:MOST_PICTURES]
    pictures = load_prepared(good, whole_frame_viewer(size, size), progress)
    learner = CprLearner(pictures, CprSettings(pool=16, steps=8), DIMENSIONS["cpr-faster"], 0, progress)
    train_rows = list(range(4))
    graphs = {}
    for count in options.references:
        known = list(islice(cycle(range(len(pictures))), count - len(train_rows)))
        graphs[f"{count} references"] = export_graph(learner.learn(train_rows, known), size, size)
    times = time_graphs(graphs, dict.fromkeys(graphs, any_picture(size, size)), options.rounds)
    floor = f"{options.references[0]} references"
    for name, taken in times.items():
        megabytes = len(graphs[name]) / 1e6
        print(
            f"{name}: median {taken.median:.1f} ms, least {taken.least:.1f} ms, {taken.over(times[floor])} {floor}; "
            f"the graph has {megabytes:.0f} MB"
        )


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("category", type=Path)
    parser.add_argument("--references", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=60)
    return parser


if __name__ == "__main__":
    main()
