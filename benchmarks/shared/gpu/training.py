"""Part 6: CPR trained on the GPU: its time beside the CPU's, and the same figure on the hold-out within its spread."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.shared.gpu.missing import MissingError
from benchmarks.shared.gpu.pictures import good_pictures
from edge_build.detectors.cpr.learner import CprLearner
from edge_build.detectors.cpr.model import DIMENSIONS
from edge_build.progress import SilentProgress
from edge_build.recipe.detector_settings import CprSettings

if TYPE_CHECKING:
    from benchmarks.gpu import Job

PICTURES, SIZE = 60, 192
SHORT = {"pool": 120, "steps": 80}
SEEDS = (0, 1, 2)
FIGURE = re.compile(r"average precision .*?: ([0-9.]+)%")


class Listening(SilentProgress):
    """Keeps what is said of the hold-out."""

    def __init__(self) -> None:
        self.precision = float("nan")

    def say(self, text: str) -> None:
        if found := FIGURE.search(text):
            self.precision = float(found[1])


def lines(job: Job) -> Iterator[str]:
    """Three seeds on the GPU, then one on the CPU. A short training: what counts is that both give the same."""
    if not torch.cuda.is_available():
        raise MissingError(f"torch {torch.__version__} sees no GPU: pip install a torch that was built with CUDA")
    pictures = good_pictures(job.data, job.work, PICTURES, SIZE)
    yield f"{len(pictures)} pictures at {SIZE} x {SIZE}, {SHORT['steps']} steps."
    yield ""
    yield "| device | seed | seconds | average precision on the hold-out |\n|---|---:|---:|---:|"
    found = []
    for seed in SEEDS:
        seconds, precision = trained(pictures, seed, torch.device("cuda"), SHORT)
        found.append(precision)
        yield f"| {torch.cuda.get_device_name()} | {seed} | {seconds:.1f} | {precision:.1f} % |"
    seconds, precision = trained(pictures, SEEDS[0], torch.device("cpu"), SHORT)
    yield f"| CPU, {torch.get_num_threads()} threads | {SEEDS[0]} | {seconds:.1f} | {precision:.1f} % |"
    spread = max(found) - min(found)
    within = min(found) - spread <= precision <= max(found) + spread
    yield ""
    yield (
        f"- the CPU's figure lies {'within' if within else 'OUTSIDE'} the GPU's of {len(SEEDS)} seeds "
        f"({min(found):.1f} to {max(found):.1f} %, give or take their spread)"
    )


def trained(
    pictures: NDArray[np.uint8], seed: int, device: torch.device, settings: dict[str, int]
) -> tuple[float, float]:
    """Seconds of a whole training, features included, and the average precision on its hold-out in percent."""
    listening, started = Listening(), time.perf_counter()
    learner = CprLearner(
        *(pictures, CprSettings.model_validate(settings), DIMENSIONS["cpr-faster"], seed, listening), device=device
    )
    learner.learn(range(len(pictures)))
    return time.perf_counter() - started, listening.precision
