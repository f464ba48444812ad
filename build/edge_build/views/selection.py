"""Which view is taken, and why: the one in which good pictures are most alike, if plainly more so than as they lie.

selected = select_view(samples, "auto", budget, margin, progress)
print(selected.why)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_build.progress import Progress
from edge_build.recipe.view_settings import PoseChoice
from edge_build.views.candidates import Budget, Candidate, candidates_for
from edge_build.views.samples import Sample
from edge_runtime.errors import ConfigError

FEWEST = 8  # good pictures that tell anything
MEASURED_PIXELS = 256 * 256  # candidates are compared at this size
GAIN = 0.15  # less unexplained than as they lie, as a share: otherwise nothing is gained
AS_GOOD = 0.05  # the simpler of two views that differ by less
WORSE = 0.15  # more unexplained that a region may bring with its larger scale
SMALLER = 0.7  # of the picture: a larger region is not worth a crop
SIMPLE_FIRST = ("fixed", "shift", "axis", "template", "ring")
HOPELESS = 0.35  # a match of the least sure sample below it is chance


@dataclass(frozen=True)
class Selection:
    """candidate: what is seen. why: for people, with the figures."""

    candidate: Candidate
    why: str


def select_view(
    samples: Sequence[Sample], pose: PoseChoice, budget: Budget, margin: float, progress: Progress
) -> Selection:
    """Raises ConfigError when a pose is asked for by name and the part is not found in these pictures."""
    fixed = Candidate("fixed")
    if pose == "fixed":
        return Selection(fixed, "fixed, as the recipe says")
    if pose == "auto" and len(samples) < FEWEST:
        return Selection(fixed, f"fixed: {len(samples)} good pictures are too few to choose a view by")
    measured = Budget(min(budget.pixels, MEASURED_PIXELS), budget.exact)
    found = candidates_for(samples, pose, margin, progress)
    if not found:
        if pose == "auto":
            return Selection(
                fixed, "fixed: nothing stands out in all good pictures, and their places do not move alike"
            )
        raise ConfigError(
            f"view.pose is {pose}, but no part is found in all of {len(samples)} good pictures by it: set it to auto, "
            "or give a region that holds the part alone"
        )
    from edge_build.views.likeness import load_measure, unexplained  # torch, which takes a second: refusals need none

    network = load_measure()
    lying = unexplained(network, fixed.pictures(samples, measured))
    figures = [
        (unexplained(network, one.pictures(samples, measured)), one) for one in progress.track("view: measure", found)
    ]
    figures_text = "; ".join(f"{one.name} {value:.3f}" for value, one in sorted(figures, key=lambda f: f[0]))
    figures_text = f"unexplained between good pictures: as they lie {lying:.3f}; {figures_text}"
    if pose != "auto":
        return Selection(min(figures, key=lambda f: f[0])[1], f"{pose}, as the recipe says ({figures_text})")
    value, best = _best(figures, lying)
    if best is None:
        region = _region(figures, lying, samples)
        if region is not None:
            return Selection(region, f"fixed, cropped: the part always stands there ({figures_text})")
        return Selection(fixed, f"fixed: no view makes good pictures plainly more alike ({figures_text})")
    return Selection(
        best,
        f"{best.name}: good pictures are {1 - value / lying:.0%} more alike than as they lie ({figures_text}); all "
        f"{len(samples)} samples are located, the least sure with a correlation of {best.lowest:.2f}",
    )


def _best(figures: Sequence[tuple[float, Candidate]], lying: float) -> tuple[float, Candidate | None]:
    moving = [(value, one) for value, one in figures if one.part is not None and one.lowest >= HOPELESS]
    least = min((value for value, _ in moving), default=lying)
    if least > (1 - GAIN) * lying:
        return lying, None
    close = [(value, one) for value, one in moving if value <= (1 + AS_GOOD) * least]
    return min(close, key=lambda f: (SIMPLE_FIRST.index(f[1].pose), f[0]))


def _region(figures: Sequence[tuple[float, Candidate]], lying: float, samples: Sequence[Sample]) -> Candidate | None:
    """A crop of what always stands there, if it makes the part plainly larger and costs no likeness."""
    height, width = samples[0].image.shape[:2]
    for value, one in figures:
        if one.part is None and one.region is not None:
            share = one.region[2] * one.region[3] / (height * width)
            if share <= SMALLER and value <= (1 + WORSE) * lying:
                return one
    return None
