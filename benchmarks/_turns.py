"""Graphs timed in turns on one thread of onnxruntime, so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

WARM_UP = 3


@dataclass(frozen=True)
class Times:
    """Milliseconds of one graph for one picture."""

    median: float
    least: float

    def over(self, floor: Times) -> str:
        """How many times another's, by the medians and by the least times."""
        return f"{self.median / floor.median:.2f} and {self.least / floor.least:.2f} times"


def time_in_turns(graphs: Mapping[str, bytes], inputs: Mapping[str, np.ndarray], rounds: int) -> dict[str, Times]:
    """Every graph once a round, with its own input."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions: dict[str, Any] = {
        name: onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for name, graph in graphs.items()
    }
    spent: dict[str, list[float]] = {name: [] for name in graphs}
    for _ in range(WARM_UP + rounds):
        for name, session in sessions.items():
            started = time.perf_counter()
            session.run(None, {session.get_inputs()[0].name: inputs[name]})
            spent[name].append(1e3 * (time.perf_counter() - started))
    return {name: Times(float(np.median(taken[WARM_UP:])), min(taken[WARM_UP:])) for name, taken in spent.items()}


def any_picture(height: int, width: int) -> np.ndarray:
    """Uint8 (1, height, width, 3): the time does not depend on what it shows."""
    return np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
