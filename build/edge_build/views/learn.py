"""From good pictures to a view: some decide how they are seen, all of them where and how surely the part is found.

learned = learn_view(dataset.good, recipe.view, recipe.size, progress)
viewer = FrameViewer(learned.view)
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.data.pictures import DatasetError, Picture, problem_lines
from edge_build.progress import Progress
from edge_build.recipe.view_settings import ViewSettings
from edge_build.views.candidates import LOST, Budget, Candidate
from edge_build.views.limits import limits_of_parts, lost
from edge_build.views.part import SHOWN
from edge_build.views.samples import evenly, read_samples
from edge_build.views.selection import select_view
from edge_runtime.errors import ConfigError, PictureError
from edge_runtime.imaging.geometry import scaled
from edge_runtime.imaging.reader import read_picture
from edge_runtime.imaging.see import FrameViewer, Sight
from edge_runtime.imaging.view import Box, GoldenFrame, Locator, Template, TemplateRecord, View, ViewRecord, whole_frame

GOLDEN_FRAMES = 2
RIM, RIM_LEAST = 0.03, 4  # share of the view's shorter side, and pixels: of the ground that belongs to the part
MOST_LOST = 0.02  # share of the good pictures in which the part may not be found: these are not learned from


@dataclass(frozen=True)
class LearnedView:
    """view: without golden frames. why: what was chosen, for people. sights: of all good pictures, without their
    pixels; empty for the whole frame. lost: those in which the part was not found. part: where it is in the
    model's picture, 0 to 1, (H, W); None where that is not known."""

    view: View
    why: str
    sights: tuple[Sight, ...] = ()
    lost: tuple[Picture, ...] = ()
    part: NDArray[np.float32] | None = None


def learn_view(
    pictures: Sequence[Picture], settings: ViewSettings, size: int | tuple[int, int], progress: Progress
) -> LearnedView:
    """size: (height, width), or N for as many pixels as N x N in the part's own shape (N x N for `fixed`).

    Raises ConfigError for a region beyond the pictures, for a pose by name that finds no part, and for something to be
    ignored that is no picture; DatasetError when the part is not found in too many pictures.
    """
    square = (size, size) if isinstance(size, int) else size
    if settings.whole:
        return LearnedView(whole_frame(*square), "the whole frame, as the recipe says")
    frame = read_picture(pictures[0].path).shape
    region = _region(settings, frame[0], frame[1])
    samples = read_samples(pictures, region, progress)
    exact = square if settings.pose == "fixed" or not isinstance(size, int) else None
    budget = Budget(square[0] * square[1], exact)
    selected = select_view(samples, settings.pose, budget, settings.margin, progress)
    candidate, side = selected.candidate, samples[0].side
    if candidate.part is None and settings.pose == "auto" and isinstance(size, int) and candidate.region is None:
        budget = replace(budget, exact=square)
    view = _in_frame(candidate, budget, (frame[0], frame[1]), region, samples[0].image.shape, side)
    view = _ignoring(view, settings.ignore)
    if view.record is None:
        return LearnedView(view, selected.why)
    record = view.record.model_copy(update={"why": selected.why})
    learned = LearnedView(replace(view, record=record), selected.why, part=_part_in(candidate, view, side))
    if record.pose != "fixed":
        learned = _with_limits(learned, pictures, progress)
    progress.say(f"view: {selected.why}")
    return learned


@dataclass(frozen=True)
class Proposal:
    """What a recipe could say of the view, for people to change. why: with the figures that speak for it."""

    settings: ViewSettings
    size: tuple[int, int] | None  # None: that of the pictures themselves
    why: str


def propose_view(pictures: Sequence[Picture], size: int | tuple[int, int], progress: Progress) -> Proposal:
    """What `auto` chooses, by name: the same on the next day, and open to be changed."""
    samples = read_samples(pictures, None, progress)
    frames = {sample.image.shape for sample in samples}
    if len(frames) > 1:
        return Proposal(ViewSettings(), None, "fixed: the good pictures have several sizes")
    budget = Budget(size * size) if isinstance(size, int) else Budget(size[0] * size[1], size)
    selected = select_view(samples, "auto", budget, ViewSettings().margin, progress)
    candidate, side = selected.candidate, samples[0].side
    if candidate.part is None and candidate.region is None:
        return Proposal(ViewSettings(), None, selected.why)
    height, width = samples[0].image.shape[:2]
    view = candidate.view((height, width), budget)
    if candidate.region is None:
        return Proposal(ViewSettings(pose=candidate.pose), (view.height, view.width), selected.why)
    x, y, wide, high = (side * value for value in candidate.region)
    return Proposal(ViewSettings(region=(x, y, wide, high)), (view.height, view.width), selected.why)


def see_all(viewer: FrameViewer, pictures: Sequence[Picture], what: str, progress: Progress) -> list[Sight]:
    """Every picture's sight, without its pixels. Raises DatasetError for one that went away."""

    def see(picture: Picture) -> Sight:
        return replace(viewer.see(read_picture(picture.path)), picture=np.zeros((0, 0, 3), np.uint8))

    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(see, picture) for picture in pictures]
        try:
            return [future.result() for future in progress.track(what, futures)]
        except PictureError as error:
            raise DatasetError(str(error)) from error


def limits_on_line(view: View, pictures: Sequence[Picture], progress: Progress) -> ViewRecord | None:
    """The view's record with limits from other good pictures, of the camera that serves.

    Raises DatasetError when the part is not found in too many of them.
    """
    if view.record is None or view.record.locator is None:
        return view.record
    return _with_limits(LearnedView(view, view.record.why), pictures, progress).view.record


def _with_limits(learned: LearnedView, pictures: Sequence[Picture], progress: Progress) -> LearnedView:
    record = learned.view.record
    assert record is not None
    assert record.locator is not None
    sights = see_all(FrameViewer(learned.view), pictures, "view: good parts", progress)
    missed = lost(sights, LOST)
    if len(missed) > MOST_LOST * len(pictures) + 1:
        names = problem_lines([f"{pictures[row].path}: match {sights[row].quality:.2f}" for row in missed])
        raise DatasetError(
            f"the part is not found in {len(missed)} of {len(pictures)} good pictures (view.pose {record.pose}):\n"
            f"{names}\ntake them away if they show no good part, give a region that holds the part alone, or set "
            "view.pose to fixed"
        )
    kept = [sight for row, sight in enumerate(sights) if row not in missed]
    limits, usual = limits_of_parts(kept, record.locator.outline, record.locator.ground == "none")
    record = record.model_copy(update={"limits": limits, "usual": usual})
    gone = tuple(pictures[row] for row in missed)
    return replace(learned, view=replace(learned.view, record=record), sights=tuple(sights), lost=gone)


def _region(settings: ViewSettings, height: int, width: int) -> tuple[int, int, int, int] | None:
    """In pixels. Raises ConfigError."""
    if settings.region is None:
        return None
    x, y, wide, high = settings.region
    if all(value <= 1 for value in settings.region):
        x, y, wide, high = x * width, y * height, wide * width, high * height
    left, top, right, bottom = round(x), round(y), round(x + wide), round(y + high)
    if right > width or bottom > height or right - left < 8 or bottom - top < 8:
        raise ConfigError(
            f"view.region {list(settings.region)} does not lie within the good pictures, which are {width} x {height} "
            "pixels, or is hardly any of them: [x, y, width, height], in pixels or in shares of the picture"
        )
    return left, top, right - left, bottom - top


def _in_frame(
    candidate: Candidate,
    budget: Budget,
    frame: tuple[int, int],
    region: tuple[int, int, int, int] | None,
    sample: tuple[int, ...],
    side: int,
) -> View:
    """The view of a candidate, which was learned in samples, for frames. side: a frame's pixels along a sample's."""
    view = candidate.view((sample[0], sample[1]), budget)
    record = view.record
    assert record is not None
    if candidate.region is not None:
        x, y, width, height = (side * value for value in candidate.region)
        left, top = (0, 0) if region is None else region[:2]
        region = (left + x, top + y, min(width, frame[1] - left - x), min(height, frame[0] - top - y))
    if record.pose == "fixed" and region is None:
        return View(view.height, view.width, ViewRecord(pose="fixed", frame=frame))
    changes: dict[str, object] = {"frame": frame, "region": region}
    if record.locator is None or record.box is None or view.coarse is None or view.fine is None:
        return replace(view, record=record.model_copy(update=changes))
    ring = record.ring
    if ring is not None:
        ring = ring.model_copy(update={"inner": side * ring.inner, "outer": side * ring.outer})
    changes |= {"box": _grown(record.box, side), "locator": _locator(record.locator, side), "ring": ring}
    return replace(
        view,
        record=record.model_copy(update=changes),
        coarse=replace(view.coarse, scale=view.coarse.scale / side),
        fine=replace(view.fine, scale=view.fine.scale / side),
    )


def _part_in(candidate: Candidate, view: View, side: int) -> NDArray[np.float32] | None:
    """Where the part is in the model's picture, with its rim, and fading beyond it. side: as in `_in_frame`."""
    part, box = candidate.part, None if view.record is None else view.record.box
    if part is None or part.ground == "none" or box is None or candidate.pose == "ring":
        return None
    scale = part.fine.scale / side  # of the mask's pixels, per pixel of the frame
    across, down = box.width / view.width * scale, box.height / view.height * scale
    middle = (part.mask.shape[1] - 1) / 2 + box.x * scale, (part.mask.shape[0] - 1) / 2 + box.y * scale
    to_mask = np.array([[across, 0, middle[0] + across / 2], [0, down, middle[1] + down / 2]])
    size = (view.width, view.height)
    mask = cv2.warpAffine(part.mask, to_mask, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    reach = 2 * max(RIM_LEAST, round(RIM * min(size))) + 1
    grown = cv2.dilate((mask > SHOWN).astype(np.float32), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), reach / 4), np.float32)


def _locator(locator: Locator, side: int) -> Locator:
    def template(one: TemplateRecord) -> TemplateRecord:
        return one.model_copy(update={"scale": one.scale / side})

    x, y = (float(value) for value in (scaled(side, side) @ np.array([*locator.usual, 1.0])).tolist())
    return locator.model_copy(
        update={
            "level": locator.level + side.bit_length() - 1,
            "area": locator.area * side**2,
            "usual": (x, y),
            "outline": _grown(locator.outline, side),
            "coarse": template(locator.coarse),
            "fine": template(locator.fine),
        }
    )


def _grown(box: Box, side: int) -> Box:
    return Box(x=side * box.x, y=side * box.y, width=side * box.width, height=side * box.height)


def _ignoring(view: View, ignore: tuple[tuple[tuple[float, float], ...], ...] | Path | None) -> View:
    """The view with what is not judged."""
    if ignore is None or view.record is None:
        return view
    mask = np.zeros((view.height, view.width), np.uint8)
    if isinstance(ignore, Path):
        try:
            mask = _white(read_picture(ignore), view)
        except PictureError as error:
            raise ConfigError(f"view.ignore: {error}") from error
    else:
        sides = np.array([view.width, view.height])
        cv2.fillPoly(mask, [np.rint(np.array(points) * sides - 0.5).astype(np.int32) for points in ignore], 255)
    if (mask > 127).all():
        raise ConfigError("view.ignore covers the whole view, so nothing would be judged: leave a part of it out")
    return replace(view, ignore=mask > 127, record=view.record.model_copy(update={"ignore": "view/ignore.png"}))


def _white(picture: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (view.width, view.height), interpolation=cv2.INTER_NEAREST), np.uint8)


def view_files(view: View) -> dict[str, bytes]:
    """What the record names besides golden frames: the files' names and contents, PNG."""
    record = view.record
    if record is None:
        return {}
    pictures: dict[str, NDArray[np.uint8]] = {}
    if record.locator is not None and view.coarse is not None and view.fine is not None:
        for named, template in ((record.locator.coarse, view.coarse), (record.locator.fine, view.fine)):
            pictures |= _template_files(named, template)
    if record.ignore is not None and view.ignore is not None:
        pictures[record.ignore] = np.where(view.ignore, 255, 0).astype(np.uint8)
    return {name: png(picture) for name, picture in pictures.items()}


def golden_frames(viewer: FrameViewer, pictures: Sequence[Picture]) -> tuple[ViewRecord | None, dict[str, bytes]]:
    """The view's record with some of these pictures as golden frames, and all the files that it names."""
    view = viewer.view
    if view.record is None:
        return None, {}
    files, golden = view_files(view), []
    for number, picture in enumerate(evenly(pictures, GOLDEN_FRAMES)):
        named = GoldenFrame(frame=f"view/frame{number}.png", picture=f"view/seen{number}.png")
        frame = read_picture(picture.path)
        files |= {named.frame: png(frame), named.picture: png(viewer.see(frame).picture)}
        golden.append(named)
    return view.record.model_copy(update={"golden": tuple(golden)}), files


def _template_files(named: TemplateRecord, template: Template) -> dict[str, NDArray[np.uint8]]:
    return {named.picture: template.picture, named.weights: template.weights}


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture as a file, without loss."""
    return cv2.imencode(".png", picture)[1].tobytes()
