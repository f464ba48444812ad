"""The page of `edge-build judge --html`: each picture with what the detector sees of it, its map, and the verdict.

tiles = [tile_of("1.png", image, decision, viewer)]
write_judged_page(Path("judged.html"), "screw-1", "onnxruntime", 35.9, tiles)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.report.gallery import colour_scale, data_uri
from edge_build.report.seen import outlined
from edge_build.report.templates import page_from_template
from edge_runtime.files import Durability, storage_errors, write_file
from edge_runtime.imaging.overlay import fit, heat_overlay, scale_from_threshold
from edge_runtime.imaging.see import FrameViewer
from edge_runtime.records import Decision, Outcome

LONGEST = 640  # pixels of a shown picture's longer side
MOST_BYTES = 90_000
REGION = (80, 255, 80)  # BGR: a green that the heat's colours do not contain
STYLES = {Outcome.OK: "right", Outcome.NOK: "wrong", Outcome.ERROR: "error"}


@dataclass(frozen=True)
class JudgedTile:
    """A picture as the page shows it: three data URIs (empty where there is nothing to show) and words."""

    name: str
    verdict: str
    style: str
    score: str
    reason: str
    frame: str = ""
    view: str = ""
    overlay: str = ""


def tile_of(
    name: str, image: NDArray[np.uint8] | None, decision: Decision, viewer: FrameViewer, score: str, reason: str
) -> JudgedTile:
    """image: the frame, uint8 BGR (height, width, 3); None for a file that cannot be read."""
    verdict, style = decision.outcome.name, STYLES[decision.outcome]
    if image is None:
        return JudgedTile(name, verdict, style, score, reason)
    sight = viewer.see(image)
    overlay = ""
    if decision.anomaly_map is not None:
        small = fit(image, LONGEST)
        drawn = heat_overlay(small, decision.anomaly_map.values, *scale_from_threshold(decision.anomaly_map.threshold))
        scale = small.shape[1] / image.shape[1]
        for region in decision.regions:
            low = (int(region.x * scale), int(region.y * scale))
            high = (int((region.x + region.width) * scale), int((region.y + region.height) * scale))
            cv2.rectangle(drawn, low, high, REGION, 2)
        overlay = data_uri(drawn, MOST_BYTES)
    return JudgedTile(name, verdict, style, score, reason, _uri(outlined(image, sight)), _uri(sight.picture), overlay)


def write_judged_page(path: Path, bundle: str, engine: str, threshold: float, tiles: Sequence[JudgedTile]) -> None:
    """Write the page at once. bundle: its label. threshold: raw. Raises StorageError."""
    page = page_from_template(
        "judged.html.j2", bundle=bundle, engine=engine, threshold=threshold, judged=tiles, scale=colour_scale()
    )
    with storage_errors(path):
        write_file(path, page.encode(), Durability.ATOMIC)


def _uri(image: NDArray[np.uint8]) -> str:
    return data_uri(fit(image, LONGEST), MOST_BYTES)
