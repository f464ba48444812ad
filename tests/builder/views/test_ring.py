"""Pose `ring` on rendered flanges: unwrapped to a strip, at any angle, and nothing else passes for one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.rendered_flanges import flange_folder

from edge_build.data.dataset import scan_dataset
from edge_build.progress import SilentProgress
from edge_build.recipe.view_settings import ViewSettings
from edge_build.views.learn import LearnedView, learn_view
from edge_build.views.where import where_judged
from edge_runtime.imaging.carry import map_in_frame, points_in_frame
from edge_runtime.imaging.reader import read_picture
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.inspection.part_checks import part_fault

__all__ = ["flange_folder"]


@pytest.fixture(scope="module")
def learned(flange_folder: Path) -> LearnedView:
    return learn_view(scan_dataset(flange_folder).good, ViewSettings(pose="ring"), 192, SilentProgress())


def test_flanges_become_strips_and_are_found_at_any_angle(learned, flange_folder):
    view = learned.view
    assert view.record.pose == "ring"
    assert view.width >= 3 * view.height
    assert view.record.limits.degrees is None
    assert min(sight.quality for sight in learned.sights) > 0.9
    viewer = FrameViewer(view)
    for picture in scan_dataset(flange_folder).test:  # defects are judged, not refused
        assert part_fault(viewer.see(read_picture(picture.path)), view.record.limits) is None


def test_the_part_is_the_strip_below_the_lugs_and_its_border(learned):
    mask = where_judged(learned.view)
    assert not mask[0].any()
    assert mask[-1].all()


def test_what_is_found_in_the_strip_lies_there_in_the_frame(learned, flange_folder):
    frame = read_picture(scan_dataset(flange_folder).good[0].path)
    viewer = FrameViewer(learned.view)
    spot = points_in_frame(viewer.see(frame), np.array([[200.0, 40.0]]))[0]
    cv2.circle(frame, tuple(round(value) for value in spot), 3, (0, 0, 255), -1)
    sight = viewer.see(frame)
    red = (sight.picture[..., 2].astype(int) - sight.picture[..., 0] > 80).astype(np.float32)
    in_frame = map_in_frame(red, sight, frame.shape[:2], frame.shape[:2])
    row, column = np.argwhere(in_frame > 0.5).mean(0)
    np.testing.assert_allclose([column, row], spot, atol=1.5)


def test_no_part_a_cut_one_and_two_are_refused(learned, flange_folder):
    frame = read_picture(scan_dataset(flange_folder).good[0].path)
    limits, viewer = learned.view.record.limits, FrameViewer(learned.view)
    ground = np.full_like(frame, np.median(frame[:8].reshape(-1, 3), axis=0))
    noise = np.random.default_rng(0).integers(-3, 4, frame.shape)
    empty = np.clip(ground + noise, 0, 255).astype(np.uint8)
    cut = np.roll(frame, frame.shape[1] // 2, axis=1)
    two = np.hstack([frame, frame])
    for image in (empty, cut, two):
        assert part_fault(viewer.see(image), limits) is not None
