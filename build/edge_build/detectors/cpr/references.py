"""Which good pictures a detector compares with when it may not keep all: those that cover all others best.

Pictures are as far from one another as their histograms of codes in blocks, by which references are retrieved
(retrieval.py); the rule is the greedy k-centre of the coreset. A copy of a chosen picture is never chosen.

    kept = select_references(histograms, 200, seed, progress)
"""

from __future__ import annotations

from torch import Tensor

from edge_build.detectors.coreset import k_center_greedy
from edge_build.progress import Progress

MOST_BYTES = 1 << 30  # of descriptors in a graph, which protobuf limits to two gigabytes; devices are small, too


def select_references(histograms: Tensor, count: int, seed: int, progress: Progress) -> list[int]:
    """At most so many rows of histograms (n, blocks, codes), shares that add up to one in each block; ascending.

    Their square roots are compared, whose Euclidean distance is Hellinger's: like the divergence that retrieves, it
    counts a code that is rare in one picture and absent from the other more than a small difference of a common one.
    """
    if count >= len(histograms):
        return list(range(len(histograms)))
    return sorted(k_center_greedy(histograms.sqrt().flatten(1), count, seed, progress).tolist())


def references_allowed(wanted: int | None, bytes_each: int) -> int:
    """How many references a graph may hold: as wanted, as far as their descriptors fit."""
    room = max(1, MOST_BYTES // bytes_each)
    return room if wanted is None else min(wanted, room)
