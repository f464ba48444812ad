"""The pictures that the report shows: which ones, and each as picture and map, as small JPEGs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.acceptance.held_out import HighScore
from edge_build.data.pictures import GOOD
from edge_build.detectors.protocol import Example
from edge_build.evaluation.result import Evaluation, name_in
from edge_build.report.jpeg import jpeg_from_picture
from edge_build.report.seen import outlined
from edge_build.screening.suspects import FAR, Suspect
from edge_runtime.bundle.manifest import Threshold
from edge_runtime.imaging.carry import frame_grid, map_in_frame
from edge_runtime.imaging.overlay import draw_outline, fit, heat_overlay, scale_from_threshold
from edge_runtime.imaging.reader import read_picture
from edge_runtime.imaging.see import FrameViewer, Sight
from edge_runtime.records import Outcome

EXTREMES = 6  # how many of the worst on each side
TYPICAL = 3  # how many of the usual on each side
LONGEST = 340  # pixels of a shown picture's longer side
LONGEST_EXAMPLE = 240  # likewise of one that was learned from
MOST_SUSPECTS = 12
MOST_BYTES = 36_000  # of one JPEG: 36 of them stay under 2 MB as text
MOST_BYTES_EXAMPLE = 20_000
MOST_BYTES_VIEW = 24_000
CONTOUR = (255, 255, 255)  # BGR: of what lies above the threshold; the heat's colours end before it


@dataclass(frozen=True)
class View:
    """What is seen of a picture, as a data URI, and how large it is shown."""

    width: int
    height: int
    picture: str


@dataclass(frozen=True)
class Tile:
    """A picture and its overlay as data URIs, with what was decided. `ratio` is its score over the threshold.

    verdict: the outcome in words, `OK` or `OK: missed`. style: `right`, `wrong` or `error`. view: what the detector
    sees of the picture; None where that is all of it, as it is.
    """

    name: str
    kind: str
    verdict: str
    style: str
    ratio: float
    masked: bool
    width: int
    height: int
    picture: str
    overlay: str
    view: View | None = None


@dataclass(frozen=True)
class TrainingExample:
    """A picture that was learned from and the outline of its defect, as data URIs. `masked`: there is a defect."""

    real: bool
    masked: bool
    width: int
    height: int
    picture: str
    overlay: str


@dataclass(frozen=True)
class Gallery:
    """A titled group of tiles. unit: what their ratios are multiples of."""

    title: str
    text: str
    tiles: tuple[Tile, ...]
    unit: str = "threshold"


def galleries_of(evaluation: Evaluation, root: Path, viewer: FrameViewer | None = None) -> tuple[Gallery, ...]:
    """The defects with the lowest scores, the good pictures with the highest, and some from the middle of both.

    viewer: what sees the frames; None for the whole of them. No picture is shown twice. Galleries without pictures are
    left out. Raises PictureError when a picture is gone.
    """
    by_score = np.argsort(evaluation.scores, kind="stable")
    defects, good = by_score[evaluation.defect[by_score]], by_score[~evaluation.defect[by_score]]
    hidden, alarming = defects[:EXTREMES], good[::-1][:EXTREMES]
    usual = [*_middle(good[: len(good) - len(alarming)]), *_middle(defects[len(hidden) :])]
    groups = (
        (
            "The defects that are hardest to see",
            "The lowest scores among the defects.",
            hidden,
        ),
        ("The good parts that look worst", "The highest scores among the good.", alarming),
        ("What is typical", "From the middle of the good pictures and of the defects.", usual),
    )
    return tuple(
        Gallery(title, text, tuple(_tile(evaluation, int(i), root, viewer) for i in chosen))
        for title, text, chosen in groups
        if len(chosen)
    )


def highest_held_out(
    highest: Sequence[HighScore], threshold: Threshold, root: Path, viewer: FrameViewer | None = None
) -> tuple[Gallery, ...]:
    """One gallery of the held-out good pictures that look worst; none without pictures. Raises PictureError."""
    tiles = []
    for high in highest:
        frame = read_picture(high.picture.path)
        image, in_frame = _Shown.of(frame, viewer), high.anomaly_map
        if viewer is not None and image.sight is not None:
            full = cv2.resize(high.anomaly_map, viewer.size[::-1], interpolation=cv2.INTER_LINEAR)
            whole = np.asarray(full, np.float32)
            in_frame = map_in_frame(whole, image.sight, frame.shape[:2], frame_grid(viewer.view))
        overlay = _overlay(fit(frame, LONGEST), in_frame, threshold)
        outcome = Outcome.NOK if high.score > threshold.score else Outcome.OK
        ratio = high.score / threshold.score
        tiles.append(_tile_of(name_in(root, high.picture), GOOD, outcome, ratio, False, image, overlay))
    text = (
        "The highest scores among the held-out good ones. One that is no good part, or no good picture, costs defects: "
        "take it away and make the bundle again."
    )
    return (Gallery("The good pictures that set the threshold", text, tuple(tiles)),) if tiles else ()


def suspicious(suspects: Sequence[Suspect], root: Path) -> tuple[Gallery, ...]:
    """One gallery of the good pictures that do not look like the others, as the model sees them; none without any."""
    tiles = []
    for suspect in suspects[:MOST_SUSPECTS]:
        image = fit(suspect.seen, LONGEST)
        overlay = heat_overlay(image, suspect.map, *scale_from_threshold(FAR))
        verdict = "left out" if suspect.left_out else "learned as good"
        name = name_in(root, suspect.picture)
        height, width = image.shape[:2]
        uris = (data_uri(image), data_uri(overlay))
        tiles.append(Tile(name, GOOD, verdict, "wrong", suspect.deviation / FAR, False, width, height, *uris))
    more = f" The first {MOST_SUSPECTS} of {len(suspects)}." if len(suspects) > MOST_SUSPECTS else ""
    text = (
        "Compared with memories of the other good pictures, before anything was learned, these stand out by far. One "
        "that is no good part hides defects like its own and sets the threshold: take it away, or build with "
        f"--exclude-suspects.{more}"
    )
    return (Gallery("Good pictures that do not look like the others", text, tuple(tiles), "limit"),) if tiles else ()


def training_examples(examples: Sequence[Example]) -> tuple[TrainingExample, ...]:
    """What a detector learned from, smaller than the pictures of the gallery."""
    shown = []
    for example in examples:
        image = fit(example.picture, LONGEST_EXAMPLE)
        overlay = draw_outline(image, example.mask)
        height, width = image.shape[:2]
        uris = (data_uri(image, MOST_BYTES_EXAMPLE), data_uri(overlay, MOST_BYTES_EXAMPLE))
        shown.append(TrainingExample(example.real, bool(example.mask.any()), width, height, *uris))
    return tuple(shown)


def _middle(ordered: NDArray[np.intp]) -> NDArray[np.intp]:
    start = max((len(ordered) - TYPICAL) // 2, 0)
    return ordered[start : start + TYPICAL]


@dataclass(frozen=True)
class _Shown:
    """A frame as the report shows it. sight: None where all of it is seen."""

    picture: NDArray[np.uint8]
    sight: Sight | None

    @staticmethod
    def of(frame: NDArray[np.uint8], viewer: FrameViewer | None) -> _Shown:
        """With a line around what is seen of it."""
        if viewer is None:
            return _Shown(fit(frame, LONGEST), None)
        sight = viewer.see(frame)
        return _Shown(fit(outlined(frame, sight), LONGEST), sight)

    @property
    def view(self) -> View | None:
        if self.sight is None:
            return None
        seen = fit(self.sight.picture, LONGEST)
        return View(seen.shape[1], seen.shape[0], data_uri(seen, MOST_BYTES_VIEW))


def _overlay(image: NDArray[np.uint8], anomaly_map: NDArray[np.float32], threshold: Threshold) -> NDArray[np.uint8]:
    """The map's heat over a picture, with a line around what lies above the threshold."""
    heat = heat_overlay(image, anomaly_map, *scale_from_threshold(threshold.map))
    size = (image.shape[1], image.shape[0])
    full = cv2.resize(anomaly_map.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return draw_outline(heat, np.asarray(full > threshold.map), CONTOUR)


def _tile(evaluation: Evaluation, index: int, root: Path, viewer: FrameViewer | None) -> Tile:
    picture, mask = evaluation.pictures[index], evaluation.masks[index]
    frame = read_picture(picture.path)
    image = _Shown.of(frame, viewer)
    overlay = _overlay(fit(frame, LONGEST), evaluation.maps[index], evaluation.threshold)
    masked = mask is not None and bool(mask.any())
    if mask is not None and masked:
        overlay = draw_outline(overlay, mask)
    ratio = float(evaluation.scores[index]) / evaluation.threshold.score
    name, outcome = name_in(root, picture), evaluation.outcomes[index]
    return _tile_of(name, picture.label, outcome, ratio, masked, image, overlay)


def _tile_of(
    name: str,
    label: str,
    outcome: Outcome,
    ratio: float,
    masked: bool,
    image: _Shown,
    overlay: NDArray[np.uint8],
) -> Tile:
    verdict, style = _verdict(outcome, label != GOOD)
    return Tile(
        name=name,
        kind=label,
        verdict=verdict,
        style=style,
        ratio=ratio,
        masked=masked,
        width=image.picture.shape[1],
        height=image.picture.shape[0],
        picture=data_uri(image.picture),
        overlay=data_uri(overlay),
        view=image.view,
    )


def _verdict(outcome: Outcome, defect: bool) -> tuple[str, str]:
    if outcome is Outcome.ERROR:
        return "ERROR", "error"
    if defect is (outcome is Outcome.NOK):
        return outcome.name, "right"
    return ("OK: missed" if defect else "NOK: false reject"), "wrong"


def data_uri(image: NDArray[np.uint8], most_bytes: int = MOST_BYTES) -> str:
    """A picture for a page, as a JPEG within it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_from_picture(image, most_bytes)).decode()


def colour_scale(steps: int = 24) -> tuple[str, ...]:
    """The heat's colours from none to hottest over a mid-grey picture, as CSS colours, for the legend."""
    ramp = np.linspace(0, 1, steps, dtype=np.float32)[None]
    colours: Sequence[NDArray[np.uint8]] = list(heat_overlay(np.full((1, steps, 3), 128, np.uint8), ramp, 0, 1)[0])
    return tuple(f"rgb({c[2]},{c[1]},{c[0]})" for c in colours)
