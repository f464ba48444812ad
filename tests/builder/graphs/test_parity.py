from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_build.graphs.export import export_graph
from edge_build.graphs.parity import MAP_TOLERANCE, SCORE_TOLERANCE, golden_pictures, prove_parity
from edge_runtime.bundle.manifest import Threshold
from edge_runtime.engines.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.errors import EngineError
from edge_runtime.records import Inspection

THRESHOLD = Threshold(
    score=100, score_low=90, score_high=None, map=50, false_reject_rate=0.01, false_reject_rate_guaranteed=0.05,
    false_reject_rate_low=0.001, false_reject_rate_high=0.2, pictures=19, method="cross-fitted",
)  # fmt: skip


class Brightness(nn.Module):
    """The map is the mean of the channels times `gain`, the score its maximum plus `offset`."""

    def __init__(self, gain: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.gain, self.offset = nn.Parameter(torch.tensor(gain), False), nn.Parameter(torch.tensor(offset), False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = self.gain * image.float().mean(3)
        return anomaly_map.amax((1, 2)) + self.offset, anomaly_map


class Fixed:
    """An engine that finds the same in every picture."""

    name = "fixed 1.0"

    def __init__(self, score: float, anomaly_map: NDArray[np.float32]) -> None:
        self.found = Inspection(score, anomaly_map)

    def infer(self, image: NDArray[np.uint8]) -> Inspection:
        return self.found


def pictures(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 200, (count, 32, 32, 3), dtype=np.uint8)


def test_the_exported_graph_agrees_and_what_the_engine_measured_comes_back() -> None:
    golden = pictures(3)

    with OnnxruntimeEngine(export_graph(Brightness(), 32, 32), threads=1) as engine:
        parity, measured = prove_parity(Brightness(), engine, golden, THRESHOLD)

    assert parity.pictures == 3
    assert parity.score < 1e-6  # float32's last digit, of a threshold of the same size
    assert parity.map < 1e-6
    for picture, found in zip(golden, measured, strict=True):
        assert found.score == pytest.approx(float(picture.astype(float).mean(2).max()), rel=1e-6)


@pytest.mark.parametrize(
    ("tampered", "says"),
    [
        (Brightness(offset=0.2), "by 0.20% of the threshold in the score and 0.00% in the map"),
        (Brightness(gain=1.01, offset=-1.9), "% in the map"),
        (Brightness(gain=float("nan")), "by inf% of the threshold in the score and inf% in the map"),
        (Brightness(offset=float("inf")), "by inf% of the threshold in the score and 0.00% in the map"),
    ],
    ids=["score", "map", "NaN", "infinity"],
)
def test_a_graph_that_scores_differently_is_refused_with_the_figures(tampered: Brightness, says: str) -> None:
    with (
        OnnxruntimeEngine(export_graph(tampered, 32, 32), threads=1) as engine,
        pytest.raises(
            EngineError, match="the exported graph scores differently from the trained detector: by"
        ) as error,
    ):
        prove_parity(Brightness(), engine, pictures(2), THRESHOLD)

    assert says in str(error.value)
    assert "0.10% and 0.50% are allowed; no bundle was written. This is a fault of onnxruntime 1." in str(error.value)
    assert (SCORE_TOLERANCE, MAP_TOLERANCE) == (0.001, 0.005)


@pytest.mark.parametrize(
    ("score_off", "map_off", "agrees"), [(0.09, 0.24, True), (0.11, 0, False), (0, 0.26, False), (-0.11, 0, False)]
)
def test_tolerances_are_shares_of_the_thresholds(score_off: float, map_off: float, agrees: bool) -> None:
    picture = np.full((1, 32, 32, 3), 60, np.uint8)
    anomaly_map = np.full((32, 32), 60, np.float32)
    anomaly_map[7, 9] -= map_off  # of a threshold of 50; the score's is 100
    engine = Fixed(60 + score_off, anomaly_map)

    if agrees:
        parity, _ = prove_parity(Brightness(), engine, picture, THRESHOLD)
        assert (parity.score, parity.map) == pytest.approx((9e-4, 4.8e-3), rel=1e-3)
    else:
        with pytest.raises(EngineError, match="scores differently"):
            prove_parity(Brightness(), engine, picture, THRESHOLD)


def test_one_bad_picture_among_good_ones_is_enough() -> None:
    """Picture 2 alone has the pixel that the tampered graph reads wrongly."""

    class Clipped(Brightness):
        def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
            anomaly_map = image.float().mean(3).clamp(max=220)
            return anomaly_map.amax((1, 2)), anomaly_map

    golden = pictures(3)
    golden[1, 5, 5] = 255

    with (
        OnnxruntimeEngine(export_graph(Clipped(), 32, 32), threads=1) as engine,
        pytest.raises(EngineError, match=r"by 35\.00% of the threshold in the score and 70\.00% in the map"),
    ):
        prove_parity(Brightness(), engine, golden, THRESHOLD)


@pytest.mark.parametrize(("available", "wanted", "kept"), [(9, 4, 4), (2, 4, 2), (1, 4, 1), (5, 1, 1)])
def test_golden_pictures_are_spread_and_end_with_a_negative(available: int, wanted: int, kept: int) -> None:
    calibration = pictures(available)

    golden = golden_pictures(calibration, wanted)

    assert golden.shape == (kept + 1, 32, 32, 3)
    np.testing.assert_array_equal(golden[-1], 255 - calibration[0])
    np.testing.assert_array_equal(golden[0], calibration[0])
    if kept > 1:
        np.testing.assert_array_equal(golden[kept - 1], calibration[-1])
