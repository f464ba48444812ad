from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_build.data.frame_limits import limits_of_good
from edge_build.data.pictures import DatasetError, Picture


class RecordingProgress:
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)

    def track(self, what, items):
        return iter(items)


def write(folder, sizes):
    random, pictures = np.random.default_rng(0), []
    for number, (height, width) in enumerate(sizes):
        image = random.integers(0, 200, (height, width, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
        pictures.append(Picture(folder / f"{number}.png", "good", None, ""))
    return pictures


def test_the_limits_are_those_of_the_pictures_as_they_are_and_are_told(tmp_path):
    progress = RecordingProgress()
    limits = limits_of_good(write(tmp_path, [(64, 96)] * 3), progress)
    assert (limits.pictures, limits.height, limits.width) == (3, 64, 96)
    assert 30 < limits.brightness_low < 70  # a third of what 1 % of the pixels exceed
    assert limits.saturated_high == 0.5
    assert progress.said[0].startswith("frames: 96 x 64 pixels; at least ")


def test_pictures_of_several_sizes_set_a_range_and_it_is_told(tmp_path):
    progress = RecordingProgress()
    limits = limits_of_good(write(tmp_path, [(40, 96), (40, 80)]), progress)
    assert (limits.height, limits.width) == (None, None)
    assert (limits.sizes.height_low, limits.sizes.height_high) == (38, 42)
    assert progress.said[0].startswith("frames: 76 to 100 x 38 to 42 (width / height 1.900 to 2.520) pixels; at least ")


def test_a_picture_that_went_away_is_named(tmp_path):
    pictures = write(tmp_path, [(64, 64)] * 2)
    pictures[1].path.unlink()
    with pytest.raises(DatasetError, match=r"1\.png"):
        limits_of_good(pictures, RecordingProgress())
