"""Where a view shows the part: what the gate's made-up defects are drawn on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.drawn_parts import anywhere, bolt, cam, draw, write_pictures

from edge_build.data.dataset import scan_dataset
from edge_build.progress import SilentProgress
from edge_build.recipe.view_settings import ViewSettings
from edge_build.views.learn import golden_frames, learn_view
from edge_build.views.where import where_judged
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.imaging.view import View, view_from_files, whole_frame


def learned(folder: Path, part, pose: str) -> View:
    write_pictures(folder, lambda random: draw(part, anywhere(random), random), 12)
    return learn_view(
        scan_dataset(folder).good, ViewSettings.model_validate({"pose": pose}), 128, SilentProgress()
    ).view


@pytest.mark.parametrize(("part", "pose"), [(bolt(), "axis"), (cam(), "template")], ids=["axis", "template"])
def test_it_is_the_part_and_not_its_ground(tmp_path, part, pose):
    view = learned(tmp_path, part, pose)
    mask = where_judged(view)
    random = np.random.default_rng(8)
    for _ in range(3):
        pose = anywhere(random)
        sight = FrameViewer(view).see(draw(part, pose, random))
        white = draw(replace(part, image=np.full_like(part.image, 255)), pose, random, ground=0)
        back = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        covered = cv2.warpAffine(white, sight.to_frame, (view.width, view.height), flags=back)[..., 0] > 127
        assert (mask & covered).sum() > 0.95 * covered.sum()
        assert (mask & covered).sum() > 0.7 * mask.sum()  # a template's pixel is two of the view's


def test_of_a_ring_it_is_the_rows_up_to_the_outer_edge(tmp_path):
    view = learned(tmp_path, cam(), "ring")
    mask = where_judged(view)
    assert not mask[0].any()  # the margin
    assert mask[-1].all()
    assert (np.diff(mask.mean(1)) > -0.05).all()  # ever more of the circle towards the middle


def test_a_bundle_knows_it_as_the_build_did(tmp_path):
    view = learned(tmp_path, bolt(), "axis")
    record, files = golden_frames(FrameViewer(view), scan_dataset(tmp_path).good)
    kept = view_from_files(record, view.height, view.width, files.__getitem__)
    assert np.array_equal(where_judged(kept), where_judged(view))


def test_what_is_ignored_is_none_of_it(tmp_path):
    view = learned(tmp_path, bolt(), "axis")
    ignored = np.zeros((view.height, view.width), np.bool_)
    ignored[:, : view.width // 2] = True
    mask = where_judged(replace(view, ignore=ignored))
    assert not mask[:, : view.width // 2].any()
    assert np.array_equal(mask[:, view.width // 2 :], where_judged(view)[:, view.width // 2 :])


def test_a_view_that_looks_for_no_part_does_not_know_it():
    assert where_judged(whole_frame(64, 64)) is None
    with pytest.raises(ValueError, match="knows no places on it"):
        FrameViewer(whole_frame(64, 64)).part_points()
    ignored = np.eye(64, dtype=np.bool_)
    assert np.array_equal(where_judged(replace(whole_frame(64, 64), ignore=ignored)), ~ignored)
