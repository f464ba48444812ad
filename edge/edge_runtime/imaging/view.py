"""The view: how a frame becomes the model's picture. Its record stands in the manifest, its pictures beside it.

A view takes a region of the frame, finds the part in it and shows the part's box, turned and cropped, at the model's
size. `fixed` shows the region as it is: with no region, the whole frame, as bundles without a view do.

    view = whole_frame(320, 320)
    view = view_from_files(record, height, width, read)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge_runtime.errors import BundleError

PoseName = Literal["fixed", "shift", "axis", "template", "ring"]
GroundName = Literal["brighter", "darker", "unlike-border", "textured", "none"]
Grey = NDArray[np.uint8]  # (h, w)
Side = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
ViewFile = Annotated[str, Field(pattern=r"^view/[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Box(_Record):
    """A rectangle in the part's own coordinates, in pixels of the frame. Its origin is the middle of the part."""

    x: float
    y: float
    width: Positive
    height: Positive


class TemplateRecord(_Record):
    """What good parts look like on average. scale: its pixels per pixel of the frame. weights: how much each counts."""

    picture: ViewFile
    weights: ViewFile
    scale: Positive


class Locator(_Record):
    """How the part is found.

    ground: how it differs from what lies around it; `none`: it is looked for near its usual place. level: how often the
    frame is halved for that. area: of the part in pixels of the frame. usual: the mean place of the good parts, x and y
    in the region. outline: the part's own box, without margin.
    """

    ground: GroundName
    level: Annotated[int, Field(ge=0, le=8)]
    area: Positive
    usual: tuple[float, float]
    outline: Box
    coarse: TemplateRecord
    fine: TemplateRecord


class PartLimits(_Record):
    """Where and how surely the good parts were found; None is not checked.

    quality_low: of the correlation with the template, -1 to 1. x, y: of the part's origin in the frame. degrees: from
    the first to the second in the direction of growing angles; None: any angle. outside_high: how far the part's box
    may lie beyond the frame's edge, in pixels. second_high: the area of the largest other thing, as a share of the
    part's.
    """

    quality_low: Annotated[float, Field(ge=-1, le=1)] | None = None
    x: tuple[float, float] | None = None
    y: tuple[float, float] | None = None
    degrees: tuple[float, float] | None = None
    outside_high: float | None = None
    second_high: float | None = None


UNLIMITED = PartLimits()


class UsualPose(_Record):
    """Mean and spread (one standard deviation) of the good parts' places, for a camera that was moved."""

    x: float
    y: float
    x_spread: float
    y_spread: float
    degrees: float | None = None  # None: they lie at any angle
    degrees_spread: float | None = None


class Ring(_Record):
    """A round part unwrapped: radii in pixels of the frame, and by how much of a turn the strip's ends overlap."""

    inner: Annotated[float, Field(ge=0)]
    outer: Positive
    overlap: Annotated[float, Field(ge=0, le=0.25)]


class GoldenFrame(_Record):
    """A frame (PNG) with the picture that the host saw in it (PNG, at the model's size)."""

    frame: ViewFile
    picture: ViewFile


class ViewRecord(_Record):
    """The manifest's `view`.

    region: x, y, width, height in pixels of the good pictures; None: everything. frame: height and width of these
    pictures. box: what is shown of the part, in its coordinates. ignore: a picture of the view, white where nothing is
    judged. why: what was chosen and what speaks for it.
    """

    pose: PoseName
    frame: tuple[Side, Side]
    region: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)], Side, Side] | None = None
    box: Box | None = None
    locator: Locator | None = None
    ring: Ring | None = None
    ignore: ViewFile | None = None
    limits: PartLimits = PartLimits()
    usual: UsualPose | None = None
    golden: tuple[GoldenFrame, ...] = ()
    why: str = ""

    @model_validator(mode="after")
    def _complete(self) -> ViewRecord:
        if self.pose != "fixed" and (self.locator is None or self.box is None):
            raise ValueError(f"pose {self.pose} needs a locator and a box")
        if (self.pose == "ring") != (self.ring is not None):
            raise ValueError("a ring, and no other pose, has radii")
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the bundle that it names."""
        templates = () if self.locator is None else (self.locator.coarse, self.locator.fine)
        named = [file for template in templates for file in (template.picture, template.weights)]
        named += [file for golden in self.golden for file in (golden.frame, golden.picture)]
        return (*named, *([self.ignore] if self.ignore else []))


@dataclass(frozen=True)
class Template:
    """A template's pixels: uint8 (h, w) each. Its middle is the part's origin."""

    picture: Grey
    weights: Grey
    scale: float


@dataclass(frozen=True)
class View:
    """A view ready to see with, at the model's size. `coarse`, `fine`: None for `fixed`. ignore: bool (H, W)."""

    height: int
    width: int
    record: ViewRecord | None = None
    coarse: Template | None = None
    fine: Template | None = None
    ignore: NDArray[np.bool_] | None = None


def whole_frame(height: int, width: int) -> View:
    """What bundles without a view see."""
    return View(height, width)


def view_from_files(record: ViewRecord | None, height: int, width: int, read: Callable[[str], bytes]) -> View:
    """read: the content of a file of the bundle. Raises BundleError for one that is not the picture it should be."""
    if record is None:
        return whole_frame(height, width)

    def grey(file: str) -> Grey:
        picture = cv2.imdecode(np.frombuffer(read(file), np.uint8), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            raise BundleError(f"{file} of the view is not a picture: build the bundle again")
        return np.asarray(picture, np.uint8)

    def template(one: TemplateRecord) -> Template:
        picture, weights = grey(one.picture), grey(one.weights)
        if picture.shape != weights.shape:
            raise BundleError(f"{one.picture} and {one.weights} have different sizes: build the bundle again")
        return Template(picture, weights, one.scale)

    ignore = None if record.ignore is None else grey(record.ignore) > 127
    if ignore is not None and ignore.shape != (height, width):
        raise BundleError(f"{record.ignore} is {ignore.shape}, the model's picture ({height}, {width}): build again")
    if record.locator is None:
        return View(height, width, record, ignore=ignore)
    return View(height, width, record, template(record.locator.coarse), template(record.locator.fine), ignore)
