"""What a person looks at to see why a part was NOK: the frame with the map's colours, its regions outlined, a caption.

jpeg = overlay_jpeg(verdict, frame.image, decision.anomaly_map)

Colours and scale are those of the host's report. The picture itself, without loss, is kept beside it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.imaging.overlay import draw_outline, fit, heat_overlay, scale_from_threshold
from edge_runtime.records import AnomalyMap, Outcome, Verdict

SMALLEST, LARGEST = 640, 1600  # pixels of the longer side: the caption can be read, and a picture takes some 10 ms
REGION_COLOUR = (80, 255, 80)  # BGR: a green that the heat's colours do not contain
QUALITY = 85
CAPTION = 28  # pixels


def overlay_jpeg(verdict: Verdict, image: NDArray[np.uint8], anomaly_map: AnomalyMap) -> NDArray[np.uint8]:
    """The bytes of a JPEG, uint8 (n,). image: uint8 BGR (height, width, 3); it is not changed.

    The outlines are those of the verdict's regions: what is above the map's threshold, and of a NOK in any case what
    comes near the map's peak. The map's values must be finite.
    """
    picture = fit(image, LARGEST)
    if (times := math.ceil(SMALLEST / max(picture.shape[:2]))) > 1:
        picture = np.repeat(np.repeat(picture, times, axis=0), times, axis=1)
    height, width = picture.shape[:2]
    values = np.asarray(cv2.resize(anomaly_map.values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    level = anomaly_map.region_level if verdict.decision.outcome is Outcome.NOK else anomaly_map.threshold
    drawn = heat_overlay(picture, values, *scale_from_threshold(anomaly_map.threshold))
    drawn = draw_outline(drawn, values > level, REGION_COLOUR)
    _, coded = cv2.imencode(".jpg", np.vstack([drawn, _caption(verdict, width)]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return np.asarray(coded, np.uint8).reshape(-1)


def caption(verdict: Verdict) -> str:
    """Number, outcome, score, threshold and what the PLC called the part."""
    decision = verdict.decision
    text = f"{verdict.seq} {decision.outcome.name} {decision.score:.3f} (threshold {decision.threshold:.3f})"
    if verdict.trigger_id:
        text += f" trigger {verdict.trigger_id}"
    return f"{text} {verdict.part_id}".rstrip()


def _caption(verdict: Verdict, width: int) -> NDArray[np.uint8]:
    bar = np.zeros((CAPTION, width, 3), np.uint8)
    place, white = (8, CAPTION - 9), (255, 255, 255)
    cv2.putText(bar, caption(verdict), place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, white, 1, cv2.LINE_AA)
    return bar
