"""How wide CPR-Faster's local branch must be: accuracy on made-up defects of validation pictures beside what it costs.

    python -m benchmarks.accuracy.cpr_width CATEGORY --textures FOLDER [--widths 24 48] [--size 320] [--steps 600]

CATEGORY is a folder of parts in MVTec's layout. Its test pictures are not looked at: accuracy is the pixel average
precision on made-up defects of good pictures that nothing is learned from. All trainings have the same made-up
pictures, steps and seed; besides the widths, one width (--branches-at) is trained without each of the inception's three
branches. Cost: multiply-adds of both local branches for a picture, and the whole graph on one thread of onnxruntime, in
turns with all others and with the backbone alone, cut at the same tap. A line is printed as soon as it is known, times
at the end.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.cost.graph_cost import floor_graph
from benchmarks.shared.cpr_parts import D, branches_to_train, detector_of, load_parts, trained, training_set_of
from benchmarks.shared.turns import any_picture, time_graphs
from edge_build.detectors.cpr.local_branch import LocalBranch
from edge_build.detectors.cpr.matching import Direction
from edge_build.graphs.export import export_graph
from edge_build.progress import progress_for_stderr

ALL = ("plain", "around", "pooled")


class PartialBranch(LocalBranch):
    """A local branch without some of its inception's branches."""

    def __init__(self, channels: int, width: int, kept: tuple[str, ...]) -> None:
        super().__init__(channels, width, D)
        self.kept = kept
        for name in set(ALL) - set(kept):
            delattr(self, name)
        if "around" not in kept:
            del self.squeeze
        joined = sum(getattr(self, name).conv.out_channels for name in kept)
        self.exit = nn.Conv2d(joined, D, 1)

    def folded(self) -> LocalBranch:
        """As the whole branch does it."""
        copied = copy.deepcopy(self)
        for part in copied.children():
            if callable(fold := getattr(part, "fold", None)):
                fold()
        return copied.eval().requires_grad_(False)

    def _joined(self, x: Tensor, centres: Tensor, padding: int) -> Tensor:
        given = {
            "plain": lambda: self.plain(centres),
            "around": lambda: self.around(self.squeeze(x), padding),
            "pooled": lambda: self.pooled(x, padding),
        }
        return F.normalize(self.exit(torch.cat([given[name]() for name in self.kept], 1)), dim=1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, judge and time each variant."""
    options = command_line().parse_args(arguments)
    progress = progress_for_stderr()
    parts = load_parts(options.category, options.size, options.textures, options.pictures, progress)
    training_set = training_set_of(parts, options.pool, parts.foreground)
    channels = (parts.maps.fine.shape[1], parts.maps.coarse.shape[1])
    variants = {f"width {width}": branches_to_train(parts, width) for width in options.widths}
    for name in ALL if options.branches_at else ():
        kept = tuple(other for other in ALL if other != name)
        torch.manual_seed(0)
        fine, coarse = (PartialBranch(count, options.branches_at, kept) for count in channels)
        variants[f"width {options.branches_at} without `{name}`"] = fine, coarse
    graphs = {"backbone": floor_graph("efficientnet-lite0", parts.backbone.taps, options.size, options.size)}
    lines = {}
    print("| local branch | AP in validation | multiply-adds | graph, times the backbone (median and least) |")
    print("|---|---:|---:|---:|")
    for name, local in variants.items():
        found, precision = trained(parts, training_set, parts.foreground, local, options.steps)
        cost = sum(
            multiply_adds(b, m.shape[2] * m.shape[3])
            for b, m in zip(found, (parts.maps.fine, parts.maps.coarse), strict=True)
        )
        lines[name] = f"| {name} | {100 * precision:.1f} | {cost / 1e6:.0f} M |"
        print(lines[name], flush=True)
        describers = (*found, *(Direction() for _ in parts.coarser))
        graphs[name] = export_graph(detector_of(parts, describers, parts.foreground), options.size, options.size)
    times = time_graphs(graphs, dict.fromkeys(graphs, any_picture(options.size, options.size)), options.rounds)
    print()
    for name, line in lines.items():
        print(f"{line} {times[name].over(times['backbone'])} |")


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("category", type=Path)
    parser.add_argument("--textures", type=Path)
    parser.add_argument("--widths", type=int, nargs="+", default=[24, 48, 96, 192])
    parser.add_argument("--branches-at", type=int, default=48, help="0: do not leave out branches")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--pictures", type=int, default=400, help="at most so many good pictures")
    parser.add_argument("--pool", type=int, default=1600)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=60)
    return parser


def multiply_adds(branch: nn.Module, cells: int) -> int:
    """Of a folded branch for a map of so many cells: every weight once a cell."""
    return cells * sum(part.weight.numel() for part in branch.modules() if isinstance(part, nn.Conv2d))


if __name__ == "__main__":
    main()
