"""Whether the false-reject rate that is asked for holds on good pictures that nobody has used: a simulation.

    python -m benchmarks.accuracy.coverage [--sets brick coin] [--learn 60] [--fresh 120] [--draws 4]

Of every development set many good pictures are made. In each draw some of them teach a detector and set its threshold,
as a build does it, with the scores as they are and as they are corrected (docs/decisions/0050); the others are new to
it, and are counted when they are rejected. One line for each set, and their mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.shared.development.changes import varied
from benchmarks.shared.development.sets import Maker, makers
from edge_build.acceptance.learning_curve import Counts, factor_when_serving, pairs_of
from edge_build.detectors.patchcore.learner import PatchcoreLearner
from edge_build.detectors.protocol import Detector, Learner
from edge_build.progress import SilentProgress
from edge_build.recipe.detector_settings import PatchcoreSettings
from edge_calibration.threshold import threshold_from_good

RATES = (0.1, 0.05, 0.02)
FOLDS = 10


@dataclass(frozen=True)
class Rejected:
    """Shares of the new pictures that were rejected, one for each of RATES, and how high the thresholds are.

    above: the threshold at the first rate as a multiple of that quantile of the new pictures' scores.
    """

    as_measured: NDArray[np.float64]
    corrected: NDArray[np.float64]
    above: float
    above_corrected: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = command_line().parse_args(arguments)
    torch.set_num_threads(options.threads)
    asked = " | ".join(f"{rate:.0%} asked" for rate in RATES)
    print(f"| set | {asked} | corrected: {asked} | threshold / quantile | corrected |")
    print("|---|" + "---:|" * (2 * len(RATES) + 2))
    found = []
    for name, maker in makers(options.side, options.real).items():
        if options.sets and name not in options.sets:
            continue
        pictures = made(maker, options.learn + options.fresh, options.seed)
        learner = PatchcoreLearner(pictures, PatchcoreSettings(), options.seed, SilentProgress())
        found.append(simulate(learner, pictures, options.learn, options.draws, options.seed))
        print(line(name, found[-1]), flush=True)
    print(line("mean", Rejected(*(np.mean([getattr(one, key) for one in found], 0) for key in vars(found[0])))))


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", help="only these, all without")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="folders of real parts in MVTec's layout")
    parser.add_argument("--side", type=int, default=128, help="root of the pixels of a picture")
    parser.add_argument("--learn", type=int, default=60, help="pictures that teach, in each draw")
    parser.add_argument("--fresh", type=int, default=120, help="pictures more, of which none teaches")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def made(maker: Maker, count: int, seed: int) -> NDArray[np.uint8]:
    """So many good pictures of a set, uint8 BGR (count, H, W, 3)."""
    random = np.random.default_rng(seed)
    return np.stack([varied(*maker(False, random), random) for _ in range(count)])


def simulate(learner: Learner, pictures: NDArray[np.uint8], learn: int, draws: int, seed: int) -> Rejected:
    """Mean over the draws. pictures: all that the learner holds, uint8 (n, H, W, 3)."""
    random, results = np.random.default_rng(seed), []
    for _ in range(draws):
        order = random.permutation(len(pictures)).tolist()
        chosen, new = order[:learn], order[learn:]
        one = _cross_fitted(learner, pictures, chosen, [(fold,) for fold in range(FOLDS)])
        two = _cross_fitted(learner, pictures, chosen, pairs_of(FOLDS))
        factor = factor_when_serving(one, two, Counts((1 - 2 / FOLDS) * learn, (1 - 1 / FOLDS) * learn, learn))
        served = _scores(learner.learn(chosen), pictures[new])
        quantile = float(np.quantile(served, 1 - RATES[0]))
        plain, corrected = _thresholds(one), _thresholds(one * factor)
        results.append(
            Rejected(
                (served[:, None] > plain).mean(0),
                (served[:, None] > corrected).mean(0),
                float(plain[0]) / quantile,
                float(corrected[0]) / quantile,
            )
        )
    return Rejected(*(np.mean([getattr(one, key) for one in results], 0) for key in vars(results[0])))


def line(name: str, found: Rejected) -> str:
    """A row of the table."""
    shares = [f"{share:.1%}" for share in (*found.as_measured, *found.corrected)]
    return f"| {' | '.join([name, *shares, f'{found.above:.3f}', f'{found.above_corrected:.3f}'])} |"


def _cross_fitted(
    learner: Learner, pictures: NDArray[np.uint8], chosen: Sequence[int], groups: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Scores of the chosen pictures, each by a detector without its group of folds, (len(chosen),)."""
    scores = np.zeros(len(chosen))
    for group in groups:
        places = [place for place in range(len(chosen)) if place % FOLDS in group]
        detector = learner.learn([row for place, row in enumerate(chosen) if place % FOLDS not in group])
        scores[places] = _scores(detector, pictures[[chosen[place] for place in places]])
    return scores


def _scores(detector: Detector, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    with torch.inference_mode():
        return np.array([float(detector(torch.from_numpy(picture[None]))[0]) for picture in pictures])


def _thresholds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([threshold_from_good(scores, scores, rate, "cross-fitted").score for rate in RATES])


if __name__ == "__main__":
    main()
