"""What a recipe says of the view: how much of a frame the detector sees, and how the part in it is found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edge_build.recipe.detector_settings import Settings

PoseChoice = Literal["auto", "fixed", "shift", "axis", "template", "ring"]
Number = int | float
Point = tuple[Number, Number]


def _inside(region: tuple[Number, Number, Number, Number] | None) -> tuple[Number, Number, Number, Number] | None:
    if region is None:
        return None
    x, y, width, height = region
    if min(x, y) < 0 or min(width, height) <= 0:
        raise ValueError("a corner left of the picture, or no area")
    shares = all(value <= 1 for value in region)
    if shares and (x + width > 1 or y + height > 1):
        raise ValueError("beyond the picture")
    return region


def _polygons(polygons: tuple[tuple[Point, ...], ...] | Path | None) -> tuple[tuple[Point, ...], ...] | Path | None:
    if isinstance(polygons, tuple):
        for polygon in polygons:
            if len(polygon) < 3 or not all(0 <= value <= 1 for point in polygon for value in point):
                raise ValueError("a polygon of fewer than three points, or a point outside of the view")
    return polygons


Region = Annotated[tuple[Number, Number, Number, Number] | None, AfterValidator(_inside)]
Ignore = Annotated[
    tuple[tuple[Point, ...], ...] | Annotated[Path, Field(strict=False)] | None, AfterValidator(_polygons)
]


class ViewSettings(Settings):
    """What the model's picture shows of a frame. Without any of it, the whole frame."""

    region: Region = Field(
        default=None,
        description="the part of the frame that counts, [x, y, width, height] in pixels of the good pictures or in "
        "shares of them; allowed: null for everything, or four numbers within the picture",
    )
    pose: PoseChoice = Field(
        default="fixed",
        description="how the part is found, turned and cropped before it is judged: fixed as it lies, shift by its "
        "place, axis for long parts, template for any part with structure, ring for round ones unwrapped, auto decides "
        "by the good pictures; allowed: auto, fixed, shift, axis, template, ring",
    )
    margin: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="room around the part on every side, as a share of that side; allowed: 0 to 1",
    )
    ignore: Ignore = Field(
        default=None,
        description="where nothing is judged: polygons [[[x, y], ...], ...] in shares of the view, or a picture of the "
        "view that is white there; allowed: null, polygons or a path",
    )

    @property
    def whole(self) -> bool:
        """Whether the model sees the whole frame as it is."""
        return self.pose == "fixed" and self.region is None and self.ignore is None
