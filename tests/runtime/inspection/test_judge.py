from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.bundle.manifest import FrameLimits, Threshold
from edge_runtime.errors import EngineError
from edge_runtime.imaging.see import Sight, whole_frame_viewer
from edge_runtime.inspection.frame_checks import frame_fault, sizes_from_good
from edge_runtime.inspection.judge import MAX_REGIONS, Judge, decide, regions, scaled_score
from edge_runtime.records import ErrorCode, Frame, Inspection, Outcome, Region
from edge_runtime.wire.verdict_json import TEXT_LENGTH

THRESHOLD = Threshold(
    score=10, score_low=9, score_high=None, map=8, false_reject_rate=0.01, false_reject_rate_guaranteed=0.05,
    false_reject_rate_low=0.001, false_reject_rate_high=0.2, pictures=19, method="cross-fitted",
)  # fmt: skip


class ScriptedEngine:
    """Returns what it is scripted to, or raises it; keeps what it was given."""

    name = "scripted"

    def __init__(self, answer):
        self.answer, self.given = answer, []

    def infer(self, image):
        self.given.append(image)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def flat_map(value=1.0, height=64, width=64):
    return np.full((height, width), value, np.float32)


def judge(answer, image=None):
    """The decision, and the engine, on a frame of 100 x 200."""
    engine = ScriptedEngine(answer)
    ticks = iter(range(0, 10**9, 2_000_000))
    decider = Judge(engine, THRESHOLD, whole_frame_viewer(64, 64), clock_ns=lambda: next(ticks))
    picture = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8) if image is None else image
    return decider(Frame("test", 1, 0, picture)), engine


def whole_sight(height: int, width: int, cells: int = 64) -> tuple[Sight, tuple[int, int]]:
    """What is seen of a whole frame of that size, at cells x cells pixels, and the frame's size."""
    sight = whole_frame_viewer(cells, cells).see(np.zeros((height, width, 3), np.uint8))
    return sight, (height, width)


def regions_in(anomaly_map: NDArray[np.float32], height: int, width: int) -> tuple[Region, ...]:
    return regions(anomaly_map, 8, *whole_sight(height, width, len(anomaly_map)))


def test_a_score_below_the_threshold_is_ok_with_its_scores_and_times():
    decision, engine = judge(Inspection(5.0, flat_map()))
    assert (decision.outcome, decision.error, decision.regions) == (Outcome.OK, ErrorCode.NONE, ())
    assert (decision.raw_score, decision.raw_threshold, decision.threshold) == (5.0, 10.0, 0.5)
    assert decision.score == pytest.approx(1 / 3)
    assert (decision.timings.prepare_us, decision.timings.infer_us, decision.timings.decide_us) == (2000, 2000, 2000)
    assert [(i.shape, i.dtype) for i in engine.given] == [((1, 64, 64, 3), np.uint8)]


@pytest.mark.parametrize(
    ("score", "outcome"),
    [
        (10.0, Outcome.OK),
        (math.nextafter(10, 11), Outcome.NOK),
        (math.nextafter(10, 9), Outcome.OK),
        (1e30, Outcome.NOK),
    ],
)
def test_only_a_score_above_the_threshold_is_nok(score, outcome):
    assert judge(Inspection(score, flat_map()))[0].outcome is outcome


@pytest.mark.parametrize(
    ("image", "code", "says"),
    [
        (
            np.full((10, 10, 3), 3, np.uint8),
            ErrorCode.FRAME_BLACK,
            "at most 1 % of the pixels are brighter than 3 (limit 4, white is 255): check light",
        ),
        (
            np.full((10, 10, 3), 252, np.uint8),
            ErrorCode.FRAME_SATURATED,
            "100.0% of the frame is white (limit",
        ),
        (np.zeros((10, 10), np.uint8), ErrorCode.FRAME_WRONG_FORMAT, "the frame is uint8 (10, 10), not uint8"),
        (np.ones((10, 10, 3), np.uint16), ErrorCode.FRAME_WRONG_FORMAT, "the frame is uint16 (10, 10, 3), not uint8"),
        (np.zeros((10, 10, 4), np.uint8), ErrorCode.FRAME_WRONG_FORMAT, "the frame is uint8 (10, 10, 4), not uint8"),
        (np.zeros((0, 10, 3), np.uint8), ErrorCode.FRAME_WRONG_FORMAT, "the frame is uint8 (0, 10, 3), not uint8"),
    ],
    ids=["black", "saturated", "grey", "16 bits", "alpha", "empty"],
)
def test_a_frame_that_shows_no_part_is_an_error_and_never_reaches_the_engine(image, code, says):
    decision, engine = judge(Inspection(0.0, flat_map(0)), image)
    assert (decision.outcome, decision.error) == (Outcome.ERROR, code)
    assert says in decision.detail
    assert engine.given == []


@pytest.mark.parametrize(("height", "width"), [(100, 40), (400, 1006)], ids=["small", "turned"])
def test_a_small_or_turned_frame_is_an_error_where_good_pictures_had_several_sizes(height, width):
    image = np.random.default_rng(0).integers(0, 200, (height, width, 3), dtype=np.uint8)
    limits = FrameLimits(sizes=sizes_from_good([(1000, 400), (1012, 400)]))
    engine = ScriptedEngine(Inspection(0.0, flat_map(0)))
    decision = Judge(engine, THRESHOLD, whole_frame_viewer(64, 64), limits=limits)(Frame("test", 1, 0, image))
    assert (decision.outcome, decision.error) == (Outcome.ERROR, ErrorCode.FRAME_WRONG_SIZE)
    assert f"{width} x {height} pixels" in decision.detail
    assert "allowed are 380 to 420 x 950 to 1062 (width / height 0.375 to 0.420)" in decision.detail
    assert len(decision.detail) <= TEXT_LENGTH
    assert engine.given == []


@pytest.mark.parametrize("level", [4, 128, 251])
def test_a_dark_or_bright_frame_within_the_limits_is_judged(level):
    assert frame_fault(np.full((10, 10, 3), level, np.uint8)) is None


def test_an_engine_that_fails_is_an_error_with_its_message():
    decision, _ = judge(EngineError("the GPU fell off"))
    assert (decision.outcome, decision.error) == (Outcome.ERROR, ErrorCode.ENGINE_FAILED)
    assert decision.detail == "the GPU fell off"


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["score", "map"])
def test_a_measurement_that_is_not_finite_is_an_error(wrong, where):
    anomaly_map = flat_map()
    if where == "map":
        anomaly_map[5, 5] = wrong
    decision = decide(Inspection(wrong if where == "score" else 1.0, anomaly_map), THRESHOLD, *whole_sight(100, 200))
    assert (decision.outcome, decision.error) == (Outcome.ERROR, ErrorCode.SCORE_NOT_FINITE)
    assert decision.detail == "the detector returned NaN or infinity: run the self-test"


def test_the_scaled_score_is_half_at_the_threshold_monotonic_and_below_one():
    raw = [-1.0, 0.0, 5.0, 10.0, 20.0, 1e9]
    scaled = [scaled_score(value, 10.0) for value in raw]
    assert scaled[:5] == pytest.approx([0, 0, 1 / 3, 0.5, 2 / 3])
    assert scaled == sorted(scaled)
    assert scaled[-1] < 1


def test_regions_are_in_pixels_of_the_frame_strongest_first():
    anomaly_map = flat_map()
    anomaly_map[0:4, 0:8] = 12
    anomaly_map[32:48, 60:64] = 16  # to the right edge
    decision = decide(
        Inspection(20.0, anomaly_map), THRESHOLD, *whole_sight(128, 320)
    )  # twice as high, five times as wide
    strong, weak = decision.regions
    assert (strong.x, strong.y, strong.width, strong.height, strong.area) == (300, 64, 20, 32, 640)
    assert (weak.x, weak.y, weak.width, weak.height, weak.area) == (0, 0, 40, 8, 320)
    assert (strong.peak, weak.peak) == pytest.approx((2 / 3, 0.6))  # 16 / (16 + 8) and 12 / (12 + 8)


def test_touching_corners_are_one_region_and_each_peak_is_its_own():
    anomaly_map = flat_map()
    anomaly_map[10, 10] = anomaly_map[11, 11] = 9
    anomaly_map[10, 12] = 9  # touches (11, 11)
    anomaly_map[20, 20] = 24
    found = regions_in(anomaly_map, 64, 64)
    assert [(r.x, r.y, r.width, r.height, r.area) for r in found] == [(20, 20, 1, 1, 1), (10, 10, 3, 2, 3)]
    assert [r.peak for r in found] == pytest.approx([0.75, 9 / 17])


def test_at_most_the_eight_strongest_regions_are_kept():
    anomaly_map = flat_map()
    for number in range(20):
        anomaly_map[3 * number, 5] = 10 + number
    found = regions_in(anomaly_map, 64, 64)
    assert len(found) == MAX_REGIONS == 8
    assert [r.y for r in found] == [3 * number for number in range(19, 11, -1)]


def test_a_nok_whose_map_stays_below_its_threshold_still_shows_its_peak():
    anomaly_map = flat_map()
    anomaly_map[30:32, 40:42] = 4
    (region,) = decide(Inspection(11.0, anomaly_map), THRESHOLD, *whole_sight(64, 64)).regions
    assert (region.x, region.y, region.width, region.height) == (40, 30, 2, 2)
    assert region.peak == pytest.approx(4 / (4 + 8))  # below 0.5, as docs/reference/mqtt.md says


def test_a_map_without_any_peak_has_no_region():
    assert regions_in(flat_map(0), 64, 64) == ()


@pytest.mark.parametrize(("cells", "pixels"), [(992, 4083), (64, 100), (320, 1999), (224, 97)])
def test_a_region_over_the_whole_map_is_the_whole_frame_and_no_pixel_more(cells, pixels):
    whole = flat_map(9, cells, cells)
    (region,) = regions_in(whole, pixels, pixels)
    assert (region.x, region.y, region.width, region.height, region.area) == (0, 0, pixels, pixels, pixels**2)


def test_what_a_frame_looks_like_goes_with_every_decision_on_a_frame_that_can_be_measured():
    good, _ = judge(Inspection(1.0, flat_map()))
    broken, _ = judge(EngineError("the GPU fell off"))
    black, _ = judge(Inspection(1.0, flat_map()), np.zeros((100, 200, 3), np.uint8))
    no_picture, _ = judge(Inspection(1.0, flat_map()), np.zeros((100, 200), np.uint8))
    assert good.measurement is not None
    assert good.measurement.brightness > 200
    assert broken.measurement == good.measurement
    assert (black.error, black.measurement.brightness) == (ErrorCode.FRAME_BLACK, 0.0)
    assert no_picture.measurement is None
