from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from tests.support.sample_verdict import sample_verdict

from edge_runtime.records import AnomalyMap, Outcome
from edge_runtime.storage.evidence_overlay import CAPTION, LARGEST, SMALLEST, caption, overlay_jpeg

NOK, OK = sample_verdict(seq=41, outcome=Outcome.NOK), sample_verdict(seq=42, outcome=Outcome.OK)


def drawn(image, values, verdict=NOK, threshold=3.0):
    coded = overlay_jpeg(verdict, image, AnomalyMap(np.asarray(values, np.float32), threshold))
    return cv2.imdecode(coded, cv2.IMREAD_COLOR).astype(int)


def green(picture):
    """Where the outline is: clearly more green than red and blue."""
    return (picture[..., 1] > picture[..., 0] + 60) & (picture[..., 1] > picture[..., 2] + 60)


def spot(at, value, size=64):
    values = np.zeros((size, size), np.float32)
    values[at[0] - 6 : at[0] + 7, at[1] - 6 : at[1] + 7] = value
    return values


def test_the_region_above_the_threshold_is_coloured_and_outlined_where_it_is_and_nothing_else_is():
    grey = np.full((640, 640, 3), 120, np.uint8)

    picture = drawn(grey, spot((16, 48), 9.0))

    assert np.abs(picture[165, 485] - 120).max() > 60  # the middle of the spot
    rows, columns = np.nonzero(green(picture))
    assert 60 < rows.min() < 110 < 210 < rows.max() < 260
    assert 380 < columns.min() < 430 < 530 < columns.max() < 580
    assert np.abs(picture[320:640, :320] - 120).max() <= 3


def test_a_nok_whose_map_stays_below_the_threshold_has_what_is_near_its_peak_outlined():
    grey = np.full((640, 640, 3), 120, np.uint8)
    assert green(drawn(grey, spot((16, 48), 1.0))).any()
    assert not green(drawn(grey, spot((16, 48), 1.0), OK)).any()


@pytest.mark.parametrize(
    ("size", "shown"),
    [((480, 160), (SMALLEST * 3 // 2, 320)), ((1200, 1600), (1200, 1600)), ((2048, 2448), (1339, LARGEST))],
)
def test_small_pictures_are_enlarged_by_a_whole_number_and_large_ones_made_smaller(size, shown):
    picture = drawn(np.zeros((*size, 3), np.uint8), np.zeros((8, 8)), OK)
    assert picture.shape == (shown[0] + CAPTION, shown[1], 3)


def test_the_frame_given_is_not_changed():
    grey = np.full((64, 64, 3), 120, np.uint8)
    drawn(grey, spot((16, 48), 9.0))
    assert (grey == 120).all()


def test_the_caption_has_number_outcome_score_threshold_and_the_part():
    decision = replace(NOK.decision, score=0.731)
    verdict = replace(NOK, decision=decision, trigger_id=7, part_id="SN-0815")
    assert caption(verdict) == "41 NOK 0.731 (threshold 0.500) trigger 7 SN-0815"
    assert caption(replace(verdict, trigger_id=0, part_id="")) == "41 NOK 0.731 (threshold 0.500)"
    picture = drawn(np.full((640, 640, 3), 120, np.uint8), np.zeros((8, 8)), verdict)
    assert (picture[640:] > 200).any()
