from __future__ import annotations

import numpy as np
import pytest
from tests.support.report_page import THRESHOLD

from edge_build.report.histogram import Series, histogram


def test_bars_right_of_the_threshold_hold_exactly_the_nok_pictures() -> None:
    above = float(np.nextafter(THRESHOLD.score, np.inf))
    scores = np.array([1.0, 12.0, THRESHOLD.score, THRESHOLD.score, above, 30.0, 1e6])

    chart = histogram([Series("All", "defect", scores)], THRESHOLD)

    (row,) = chart.rows
    right = [bar for bar in row.bars if bar.x > chart.threshold]
    assert row.nok == 3
    assert [bar.tip.split(" picture")[0] for bar in right] == ["1", "1", "1"]
    assert chart.overflow == 1
    assert all(chart.left <= bar.x and bar.x + bar.width <= chart.right for bar in row.bars)


@pytest.mark.parametrize("scores", [[5.0], [0.0, 0.0], [], [1e-9, 1e9]])
def test_a_histogram_can_be_drawn_of_anything(scores: list[float]) -> None:
    chart = histogram([Series("All", "good", np.array(scores, np.float64))], THRESHOLD)

    assert len(chart.rows) == bool(scores)
    assert 2 <= len(chart.ticks) <= 9
    assert chart.left < chart.threshold < chart.right
