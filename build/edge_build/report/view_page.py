"""The page of `edge-build view`: good pictures with what the detector sees of them, before anything is trained.

write_view_page(path, "screw", learned, good, root)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.data.pictures import Picture
from edge_build.evaluation.result import name_in
from edge_build.report.gallery import data_uri
from edge_build.report.seen import outlined, pose_text
from edge_build.report.templates import page_from_template
from edge_build.views.learn import LearnedView
from edge_build.views.samples import evenly
from edge_runtime.files import Durability, storage_errors, write_file
from edge_runtime.imaging.overlay import fit
from edge_runtime.imaging.reader import read_picture
from edge_runtime.imaging.see import FrameViewer, Sight

SHOWN, WORST = 20, 6
LONGEST = 420  # pixels of a shown picture's longer side
MOST_BYTES = 40_000


@dataclass(frozen=True)
class Pair:
    """A frame with its outline and what is seen of it, as data URIs."""

    name: str
    text: str
    frame: str
    view: str


def write_view_page(path: Path, name: str, learned: LearnedView, good: Sequence[Picture], root: Path) -> None:
    """Write the page at once. name: of the recipe. Raises PictureError for a picture that is gone, StorageError."""
    viewer = FrameViewer(learned.view)
    shown = [_seen(viewer, picture) for picture in evenly(good, SHOWN)]
    worst = [_seen(viewer, good[row]) for row in _least_sure(learned.sights)]
    views = np.stack([sight.picture for _, _, sight in shown]).astype(np.float32)
    page = page_from_template(
        "view_page.html.j2",
        name=name,
        why=learned.why,
        width=viewer.width,
        height=viewer.height,
        spread=_spread(learned),
        groups=(
            ("Good pictures", [_pair(root, *one) for one in shown]),
            ("Those in which the part is found least surely", [_pair(root, *one) for one in worst]),
        ),
        mean=_uri(np.asarray(np.rint(views.mean(0)), np.uint8)),
        deviation=_uri(np.asarray(np.clip(np.rint(3 * views.std(0)), 0, 255), np.uint8)),
    )
    with storage_errors(path):
        write_file(path, page.encode(), Durability.ATOMIC)


def _seen(viewer: FrameViewer, picture: Picture) -> tuple[Picture, NDArray[np.uint8], Sight]:
    image = read_picture(picture.path)
    return picture, image, viewer.see(image)


def _pair(root: Path, picture: Picture, image: NDArray[np.uint8], sight: Sight) -> Pair:
    return Pair(name_in(root, picture), pose_text(sight), _uri(outlined(image, sight)), _uri(sight.picture))


def _least_sure(sights: Sequence[Sight]) -> list[int]:
    return sorted(range(len(sights)), key=lambda row: sights[row].quality)[:WORST]


def _spread(learned: LearnedView) -> str:
    record = learned.view.record
    if record is None or record.usual is None:
        return ""
    usual, limits = record.usual, record.limits
    turn = "at any angle" if usual.degrees is None else f"at {usual.degrees:.1f} ± {usual.degrees_spread:.1f} degrees"
    x, y = f"x {usual.x:.0f} ± {usual.x_spread:.1f}", f"y {usual.y:.0f} ± {usual.y_spread:.1f}"
    return (
        f"The good parts lie at {x}, {y}, {turn}; "
        f"they match the mean part to {min(s.quality for s in learned.sights):.3f} and more, and "
        f"{limits.quality_low:.3f} is the limit."
    )


def _uri(image: NDArray[np.uint8]) -> str:
    return data_uri(fit(image, LONGEST), MOST_BYTES)
