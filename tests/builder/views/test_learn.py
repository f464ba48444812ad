"""A learned view: where the part lies is known in the frame, and what is no good part in its place is never judged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.drawn_parts import Image, Pose, anywhere, bolt, cam, draw, with_part, write_pictures

from edge_build.data.dataset import scan_dataset
from edge_build.progress import SilentProgress
from edge_build.recipe.view_settings import ViewSettings
from edge_build.views.learn import LearnedView, golden_frames, learn_view, view_files
from edge_runtime.bundle.manifest import Threshold
from edge_runtime.errors import ConfigError, EngineError
from edge_runtime.imaging.carry import frame_grid, map_in_frame, mask_in_view, points_in_frame
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.imaging.view import view_from_files
from edge_runtime.imaging.view_check import check_view
from edge_runtime.inspection.judge import Judge
from edge_runtime.inspection.part_checks import part_fault
from edge_runtime.records import Decision, ErrorCode, Frame, Inspection, Outcome

GROUND = 60
THRESHOLD = Threshold(
    score=1e6, score_low=1, score_high=1e7, map=100, false_reject_rate=0.01, false_reject_rate_guaranteed=0.01,
    false_reject_rate_low=0, false_reject_rate_high=0.1, pictures=100, method="held-out",
)  # fmt: skip


class EverythingIsGood:
    """Passes whatever it is shown; its map is the picture's brightness."""

    name = "everything is good"

    def infer(self, image: Image) -> Inspection:
        return Inspection(0.0, image[0].max(axis=2).astype(np.float32))

    def __enter__(self) -> EverythingIsGood:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def cams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cams")
    return write_pictures(folder, lambda random: draw(cam(), anywhere(random), random, ground=GROUND), 16)


@pytest.fixture(scope="module")
def learned(cams: Path) -> LearnedView:
    return learn_view(scan_dataset(cams).good, ViewSettings(pose="template"), 128, SilentProgress())


def decision_on(learned: LearnedView, image: Image) -> Decision:
    record = learned.view.record
    assert record is not None
    judge = Judge(EverythingIsGood(), THRESHOLD, FrameViewer(learned.view), part_limits=record.limits)
    return judge(Frame("test", 1, 0, image))


def test_a_good_part_anywhere_is_judged_and_its_place_is_told(learned):
    random = np.random.default_rng(9)
    for _ in range(5):
        pose = anywhere(random)
        decision = decision_on(learned, draw(cam(), pose, random, ground=GROUND))
        assert decision.outcome is Outcome.OK
        assert decision.place is not None
        assert abs(decision.place.x - pose.x) < 12  # the origin is the middle of the part's area, not of the drawing
        assert abs(decision.place.y - pose.y) < 12


def empty(random: np.random.Generator) -> Image:
    return np.asarray(np.clip(GROUND + random.normal(0, 2, (320, 400, 3)), 0, 255), np.uint8)


def another_product(random: np.random.Generator) -> Image:
    return draw(bolt(), anywhere(random), random, ground=GROUND)


def upside_down(random: np.random.Generator) -> Image:
    return np.ascontiguousarray(draw(cam(), anywhere(random), random, ground=GROUND)[:, ::-1])


def two_parts(random: np.random.Generator) -> Image:
    first = draw(cam(), Pose(110, 160, random.uniform(-3, 3)), random, ground=GROUND)
    return with_part(first.astype(float), cam(), Pose(290, 160, random.uniform(-3, 3)), random)


def cut_by_the_edge(random: np.random.Generator) -> Image:
    return draw(cam(), Pose(20, 160, random.uniform(-3, 3)), random, ground=GROUND)


@pytest.mark.parametrize("make", [empty, another_product, upside_down, two_parts, cut_by_the_edge])
def test_what_is_no_good_part_in_its_place_is_never_ok(learned, make):
    random = np.random.default_rng(3)
    for _ in range(6):
        decision = decision_on(learned, make(random))
        assert decision.outcome is Outcome.ERROR
        assert decision.error in (ErrorCode.PART_NOT_FOUND, ErrorCode.PART_OUT_OF_PLACE)
        assert "health.part_quality_low" in decision.detail


def test_a_part_out_of_place_is_told_from_one_that_is_not_found(cams):
    learned = learn_view(scan_dataset(cams).good, ViewSettings(pose="template"), 128, SilentProgress())
    record = learned.view.record
    assert record is not None
    random = np.random.default_rng(4)
    sight = FrameViewer(learned.view).see(draw(cam(), Pose(200, 100), random, ground=GROUND))
    fault = part_fault(sight, record.limits.model_copy(update={"y": (140.0, 180.0)}))
    assert fault is not None
    assert fault.error is ErrorCode.PART_OUT_OF_PLACE
    assert "its y is 1" in fault.detail or "its y is 9" in fault.detail


def test_what_is_found_in_the_view_lies_there_in_the_frame(learned):
    random = np.random.default_rng(11)
    image = draw(cam(), anywhere(random), random, ground=GROUND)
    viewer = FrameViewer(learned.view)
    spot = viewer.see(image).to_frame @ np.array([40.0, 70.0, 1.0])
    cv2.circle(image, tuple(round(v) for v in spot), 3, (255, 255, 255), -1)
    sight = viewer.see(image)
    anomaly_map = np.zeros(sight.picture.shape[:2], np.float32)
    anomaly_map[sight.picture.min(axis=2) > 240] = 1
    rows, columns = np.nonzero(anomaly_map)
    found = points_in_frame(sight, np.stack([columns, rows], axis=1)).mean(0)
    np.testing.assert_allclose(found, np.rint(spot), atol=1)
    grid = frame_grid(learned.view)
    assert abs(grid[0] * grid[1] / (viewer.height * viewer.width) - 1) < 0.02
    in_frame = map_in_frame(anomaly_map, sight, image.shape[:2], grid)
    assert in_frame.shape == grid
    row, column = np.unravel_index(in_frame.argmax(), grid)
    np.testing.assert_allclose([column * 400 / grid[1], row * 320 / grid[0]], spot, atol=6)
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[int(spot[1]) - 2 : int(spot[1]) + 3, int(spot[0]) - 2 : int(spot[0]) + 3] = True
    assert (mask_in_view(mask, sight) & (anomaly_map > 0)).any()


def test_the_files_of_a_view_give_the_same_pixels_and_golden_frames_prove_it(learned, cams):
    good = scan_dataset(cams).good
    record, files = golden_frames(FrameViewer(learned.view), good)
    assert record is not None
    assert set(record.files) == set(files)
    assert set(view_files(learned.view)) < set(files)
    viewer = FrameViewer(view_from_files(record, learned.view.height, learned.view.width, files.__getitem__))
    assert check_view(viewer, files.__getitem__) == 2
    seen = cv2.imdecode(np.frombuffer(files[record.golden[0].picture], np.uint8), cv2.IMREAD_COLOR)
    changed = {**files, record.golden[0].picture: cv2.imencode(".png", seen + 2)[1].tobytes()}
    with pytest.raises(EngineError, match=r"sees view/frame0\.png with other pixels than the host's"):
        check_view(viewer, changed.__getitem__)


def test_without_a_view_the_whole_frame_is_seen_as_before(cams):
    good = scan_dataset(cams).good
    learned = learn_view(good, ViewSettings(), 64, SilentProgress())
    assert learned.view.record is None
    image = cv2.imread(str(good[0].path))
    assert np.array_equal(FrameViewer(learned.view).see(image).picture, preprocess(image, 64, 64)[0])


def test_a_region_is_seen_in_pixels_and_in_shares_alike(cams):
    good = scan_dataset(cams).good
    image = cv2.imread(str(good[0].path))
    for region in ((100, 80, 200, 160), (0.25, 0.25, 0.5, 0.5)):
        view = learn_view(good, ViewSettings(region=region), 64, SilentProgress()).view
        sight = FrameViewer(view).see(image)
        assert np.array_equal(sight.picture, preprocess(image[80:240, 100:300], 64, 64)[0])
        np.testing.assert_allclose(sight.to_frame @ np.array([-0.5, -0.5, 1]), [99.5, 79.5])


def test_a_region_beyond_the_pictures_is_refused(cams):
    with pytest.raises(ConfigError, match=r"view\.region \[300, 0, 200, 100\] does not lie within the good pictures"):
        learn_view(scan_dataset(cams).good, ViewSettings(region=(300, 0, 200, 100)), 64, SilentProgress())


def test_polygons_are_ignored_where_they_lie_in_the_view(cams):
    settings = ViewSettings(ignore=(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))
    view = learn_view(scan_dataset(cams).good, settings, 64, SilentProgress()).view
    assert view.ignore is not None
    assert view.ignore[:, :31].all()
    assert not view.ignore[:, 33:].any()
    everything = ViewSettings(ignore=(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),))
    with pytest.raises(ConfigError, match=r"view\.ignore covers the whole view"):
        learn_view(scan_dataset(cams).good, everything, 64, SilentProgress())
