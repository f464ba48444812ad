"""What the view says is ignored: a constant of the graph, for every detector alike."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edge_build.detectors.protocol import Detector


class Bright(Detector):
    """Every cell of 4x4 pixels is as odd as it is bright."""

    entries, dimensions, grid = 1, 1, (4, 8)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        cells = self.cells_judged(image[0, ::4, ::4, 0].float())
        anomaly_map = self.map_judged(cells.repeat_interleave(4, 0).repeat_interleave(4, 1))
        return anomaly_map.amax().view(1), anomaly_map[None]


def test_nothing_is_judged_where_it_is_ignored_and_all_else_as_before() -> None:
    picture = torch.full((1, 16, 32, 3), 7, dtype=torch.uint8)
    picture[:, :, :8] = 200
    plain, ignoring = Bright(), Bright()
    ignored = np.zeros((16, 32), np.bool_)
    ignored[:, :10] = True  # two columns of cells, and half of the next
    ignoring.ignore(ignored)
    assert float(plain(picture)[0]) == 200
    score, anomaly_map = ignoring(picture)
    assert float(score) == 7
    assert anomaly_map[0, :, :10].eq(0).all()
    assert anomaly_map[0, :, 12:].eq(7).all()
