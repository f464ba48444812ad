"""Bad pictures among the good ones of the development sets: which are found, and what they and their removal cost.

    python -m benchmarks.accuracy.suspects [--sets brick coin] [--shares 0 0.01 0.03 0.1]

Some of the pictures to learn from get a drawn defect and stay among the good ones. Counted are those that are named as
suspicious: of all, of those that PatchCore rejects when it learned from good ones alone (some drawn defects are hardly
seen by anybody), and good ones that are named as well. Image AUROC on other pictures: learned from good ones alone,
with the bad ones among them, and without those that are suspicious.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.shared.development.changes import DEFECTS, varied, with_defect
from benchmarks.shared.development.sets import Maker, makers
from edge_build.detection_metrics import auroc
from edge_build.detectors.patchcore.learner import PatchcoreLearner
from edge_build.progress import SilentProgress
from edge_build.recipe.detector_settings import PatchcoreSettings
from edge_build.screening.suspects import find_suspects

RATE = 0.01  # at which a clean detector rejects a bad picture


@dataclass(frozen=True)
class Line:
    """Of one set with a share of bad pictures: counts, and image AUROC in percent."""

    bad: int
    found: int
    rejected: int  # bad ones, by the detector that learned from good ones alone
    rejected_found: int
    false: int
    clean: float
    spoilt: float
    excluded: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = command_line().parse_args(arguments)
    torch.set_num_threads(options.threads)
    print("| set | bad among 100 | found | a clean detector rejects | of these found | good ones named | "
          "AUROC clean | with them | suspects excluded |\n|---|" + "---:|" * 8)  # fmt: skip
    totals: dict[float, list[Line]] = {share: [] for share in options.shares}
    for name, maker in makers(options.side, options.real).items():
        if options.sets and name not in options.sets:
            continue
        for share, line in measured(maker, options.learn, options.test, options.shares, options.seed).items():
            totals[share].append(line)
            print(_row(name, line), flush=True)
    for lines in totals.values():
        sums = np.array([astuple(line) for line in lines]).sum(0)
        counts, means = sums[:5].astype(int), sums[5:] / len(lines)
        print(_row("all", Line(*counts.tolist(), *means.tolist())))


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", help="only these, all without")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="folders of real parts in MVTec's layout")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.01, 0.03, 0.1])
    parser.add_argument("--side", type=int, default=160, help="root of the pixels of a picture")
    parser.add_argument("--learn", type=int, default=100)
    parser.add_argument("--test", type=int, default=40, help="good pictures to test, and as many with a defect")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def measured(maker: Maker, learn: int, test: int, shares: Sequence[float], seed: int) -> dict[float, Line]:
    """Every share of one set; the same pictures, of which more or fewer are bad."""
    random = np.random.default_rng(seed)
    most = round(max(shares) * learn)
    good, bad = _made(maker, learn, False, random), _made(maker, max(most, 1), True, random)
    tested = np.concatenate([_made(maker, test, False, random), _made(maker, test, True, random)])
    everything = np.concatenate([good, bad, tested])
    learner = PatchcoreLearner(everything, PatchcoreSettings(), seed, SilentProgress())
    test_rows = range(learn + len(bad), len(everything))

    def scores(rows: Sequence[int], of: Sequence[int]) -> NDArray[np.float64]:
        detector = learner.learn(list(rows))
        with torch.inference_mode():
            return np.array([float(detector(torch.from_numpy(everything[row][None]))[0]) for row in of])

    def image_auroc(found: NDArray[np.float64]) -> float:
        return 100 * (auroc(found[test:], found[:test]) or 0.0)

    bad_rows = list(range(learn, learn + len(bad)))
    clean = scores(range(learn), [*test_rows, *bad_rows])
    limit = np.quantile(clean[:test], 1 - RATE)
    lines = {}
    for share in shares:
        count = round(share * learn)
        places = np.sort(np.random.default_rng(seed).permutation(learn)[:count])
        rows = np.arange(learn)
        rows[places] = bad_rows[:count]
        suspects = find_suspects(everything[rows], seed, SilentProgress()).rows
        kept = [int(row) for place, row in enumerate(rows) if place not in suspects]
        named = {int(rows[place]) for place in suspects}
        rejected = {row for row in bad_rows[:count] if clean[2 * test + row - learn] > limit}
        lines[share] = Line(
            count,
            len(named & set(bad_rows)),
            len(rejected),
            len(named & rejected),
            len(named - set(bad_rows)),
            image_auroc(clean[: 2 * test]),
            image_auroc(scores(rows.tolist(), test_rows)) if count else image_auroc(clean[: 2 * test]),
            image_auroc(scores(kept, test_rows)),
        )
    return lines


def _made(maker: Maker, count: int, defect: bool, random: np.random.Generator) -> NDArray[np.uint8]:
    """Pictures, uint8 BGR (count, H, W, 3), the kinds of defects in turn."""
    pictures, kinds = [], list(DEFECTS)
    for number in range(count):
        picture, place = maker(False, random)
        picture = varied(picture, place, random)
        pictures.append(with_defect(picture, place, kinds[number % len(kinds)], random)[0] if defect else picture)
    return np.stack(pictures)


def _row(name: str, line: Line) -> str:
    figures = (f"{figure:.1f}" for figure in (line.clean, line.spoilt, line.excluded))
    counts = map(str, (line.bad, line.found, line.rejected, line.rejected_found, line.false))
    return f"| {' | '.join([name, *counts, *figures])} |"


if __name__ == "__main__":
    main()
