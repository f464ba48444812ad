"""A moved camera is a warning before parts are refused."""

from __future__ import annotations

import numpy as np

from edge_runtime.imaging.view import UsualPose
from edge_runtime.inspection.part_drift import MEMORY, PartDrift
from edge_runtime.records import PartPlace

USUAL = UsualPose(x=200, y=100, x_spread=1.5, y_spread=1.5, degrees=179.5, degrees_spread=0.4)


def after(dx: float, turn: float, parts: int, usual: UsualPose | None = USUAL) -> PartDrift:
    drift, random = PartDrift(usual), np.random.default_rng(0)
    for _ in range(parts):
        degrees = (179.5 + turn + random.normal(0, 0.4) + 180) % 360 - 180  # on both sides of the turn's end
        drift.add(PartPlace(200 + dx + random.normal(0, 1.5), 100 + random.normal(0, 1.5), degrees, 0.9))
    return drift


def test_parts_as_usual_give_no_warning():
    assert after(0, 0, 500).warning == ""


def test_a_mean_place_elsewhere_is_reported_after_fifty_parts():
    assert after(6, 0, MEMORY - 1).warning == ""
    assert after(6, 0, MEMORY).warning == "parts lie 6 px off: was the camera or fixture moved?"


def test_a_mean_angle_elsewhere_is_reported():
    assert after(0, 3, 100).warning == "parts lie 3.0 degrees off: was the camera or fixture moved?"


def test_without_a_view_there_is_nothing_to_report():
    drift = after(50, 0, 100, None)
    assert (drift.warning, drift.pixels) == ("", None)
