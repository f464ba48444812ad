from __future__ import annotations

import pytest

from edge_build.data.folder_names import Sound, is_test_folder, mask_ending, sound_of, sound_of_path


@pytest.mark.parametrize(
    "name",
    [
        "good",
        "GOOD",
        "OK",
        "ok_parts",
        "goodParts",
        "OKParts",
        "normal",
        "pass",
        "gut",
        "iO",
        "i.O.",
        "MT_Free",
        "defect_free",
        "no_defects",
    ],
)
def test_names_of_good_parts(name):
    assert sound_of(name) is Sound.GOOD


@pytest.mark.parametrize(
    "name",
    [
        "NOK",
        "nOK",
        "niO",
        "n.i.O.",
        "bad",
        "KO",
        "NG_cam1",
        "abnormal",
        "anomaly",
        "rejects",
        "crack",
        "MT_Crack",
        "defect_scratch",
        "not_good",
        "notOK",
        "schlecht",
        "Ausschuss",
        "beschädigt",
        "rebut",
        "scarto",
    ],
)
def test_names_of_defects(name):
    assert sound_of(name) is Sound.DEFECTS


@pytest.mark.parametrize(
    "name",
    [
        "mask",
        "masks",
        "gt",
        "ground_truth",
        "GroundTruth",
        "Label",
        "mask_crack",
        "good_masks",
    ],
)
def test_names_of_masks(name):
    assert sound_of(name) is Sound.MASKS


@pytest.mark.parametrize(
    "name",
    [
        "monday",
        "01",
        "line1",
        "screws",
        "cam_2",
        "pressing",
        "2024-03",
        "goods",
        "knob",
    ],
)
def test_names_that_say_nothing(name):
    assert sound_of(name) is Sound.NOTHING


def test_of_folders_within_one_another_a_defect_counts_more_than_a_good_part():
    assert sound_of_path(("line1", "OK", "monday")) is Sound.GOOD
    assert sound_of_path(("good", "scratched")) is Sound.DEFECTS
    assert sound_of_path(("crack", "gt")) is Sound.MASKS
    assert sound_of_path(()) is Sound.NOTHING


def test_test_folders_and_the_endings_of_masks_are_known_in_any_case():
    assert is_test_folder("Test")
    assert not is_test_folder("test_of_good_parts")
    assert mask_ending("001_Mask") == "_mask"
    assert mask_ending("10000_GT") == "_gt"
    assert mask_ending("unmasked") is None
