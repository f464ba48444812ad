"""The rule of variety.py in plain loops."""

from __future__ import annotations

import numpy as np


def naive_is_enough(pictures, centres, newest):
    """Whether the newest pictures lie within the radius that farthest-first centres leave of the earlier ones."""

    def distance(one, other):
        return float(np.sqrt(np.mean((one - other) ** 2)))

    earlier, last = pictures[:-newest], pictures[-newest:]
    chosen = [earlier[0]]
    while len(chosen) < centres:
        nearest = [min(distance(one, centre) for centre in chosen) for one in earlier]
        chosen.append(earlier[int(np.argmax(nearest))])
    radius = max(min(distance(one, centre) for centre in chosen) for one in earlier)
    return all(min(distance(one, centre) for centre in chosen) <= radius + 1e-4 for one in last)
