"""Graphs timed in turns, each on one thread of onnxruntime.

A busy machine slows all of them alike, as they take turns; and what is counted is the processor time of the one thread,
which does not go on while others have the processor. On a machine with nothing else to do it is the time that passes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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


def open_session(graph: bytes | Path) -> Any:
    """A graph on the thread that calls it; a file may have its weights beside it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        str(graph) if isinstance(graph, Path) else graph, options, providers=["CPUExecutionProvider"]
    )


def time_in_turns(
    sessions: Mapping[str, Any], inputs: Mapping[str, Sequence[np.ndarray]], rounds: int
) -> dict[str, Times]:
    """Every graph once a round, on its own inputs, one after the other."""
    spent: dict[str, list[float]] = {name: [] for name in sessions}
    for turn in range(WARM_UP + rounds):
        for name, session in sessions.items():
            feed = {session.get_inputs()[0].name: inputs[name][turn % len(inputs[name])]}
            started = time.thread_time()
            session.run(None, feed)
            spent[name].append(1e3 * (time.thread_time() - started))
    return {name: Times(float(np.median(taken[WARM_UP:])), min(taken[WARM_UP:])) for name, taken in spent.items()}


def time_graphs(graphs: Mapping[str, bytes], inputs: Mapping[str, np.ndarray], rounds: int) -> dict[str, Times]:
    """The same for graphs, each with one input."""
    sessions = {name: open_session(graph) for name, graph in graphs.items()}
    return time_in_turns(sessions, {name: [image] for name, image in inputs.items()}, rounds)


def any_picture(height: int, width: int) -> np.ndarray:
    """Uint8 (1, height, width, 3): the time does not depend on what it shows."""
    return np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
