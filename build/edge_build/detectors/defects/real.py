"""Pictures of real defects that a detector may learn from: found, checked, and kept apart from all others.

A folder with `pictures/` and `masks/`, or with MVTec's `test/` and `ground_truth/`, of the same names (a mask may end
in `_mask`). A few are enough: `RealDefects.on` puts them onto good pictures (the "extended anomalies" of Zhang et al.
2023, "Prototypical Residual Networks", which the supervised mode of CPR follows).

    defects = load_defects(Path("screw-defects"), dataset, viewer, progress)
    image, mask = defects.on(3, picture, place, random)  # the fourth defect, somewhere on a good picture
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.data.dataset import Dataset
from edge_build.data.folder_names import Sound, sound_of
from edge_build.data.masks import MaskFinder, mask_notes
from edge_build.data.pictures import Picture, problem_lines, read_facts, read_mask
from edge_build.progress import Progress
from edge_build.recipe.input_size import size_text
from edge_runtime.errors import ConfigError
from edge_runtime.imaging.carry import mask_in_view
from edge_runtime.imaging.reader import PICTURE_SUFFIXES, list_pictures, read_picture
from edge_runtime.imaging.see import FrameViewer

Image = NDArray[np.uint8]  # BGR (H, W, 3)
Mask = NDArray[np.bool_]  # (H, W)

LAYOUTS = (("pictures", "masks"), ("test", "ground_truth"))
TRIES = 20
JITTER = 6  # pixels, of a defect that is put where it was found
LEAST_ON_PART = 0.5  # share of a defect that must lie on the part
FEATHER = 1.0  # sigma in pixels of the seam


@dataclass(frozen=True)
class RealDefects:
    """Prepared pictures, uint8 BGR (n, H, W, 3), and where their defects are, bool (n, H, W). sources: the files."""

    sources: tuple[Picture, ...]
    pictures: NDArray[np.uint8]
    masks: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pictures)

    def on(
        self, number: int, picture: Image, place: Mask | None, random: np.random.Generator, anywhere: bool
    ) -> tuple[Image, Mask]:
        """A good picture with a defect of a real one on it, and where it is; all False when it found no place.

        place: where the part is; None for everywhere. anywhere: turned, mirrored, scaled and moved; otherwise where it
        was found, up to some pixels, which suits a good picture that shows the part as the real one does.
        """
        height, width = picture.shape[:2]
        defect = _one_region(self.masks[number], random)
        centre = np.argwhere(defect).mean(0)[::-1]  # x, y
        spots = np.argwhere(np.ones((height, width), np.bool_) if place is None else place)[:, ::-1]
        if len(spots) == 0:
            return picture.copy(), np.zeros((height, width), np.bool_)
        for _ in range(TRIES):
            if anywhere:
                move = _similarity(centre, spots[int(random.integers(len(spots)))], random)
            else:
                move = np.hstack([np.eye(2), random.uniform(-JITTER, JITTER, (2, 1))])
            moved = cv2.warpAffine(defect.astype(np.float32), move, (width, height)) > 0.5
            mask = moved if place is None else moved & place
            if mask.sum() >= max(LEAST_ON_PART * defect.sum(), 1):
                source = cv2.warpAffine(self.pictures[number], move, (width, height), borderMode=cv2.BORDER_REFLECT)
                return _blended(picture, np.asarray(source, np.uint8), mask, random), np.asarray(mask)
        return picture.copy(), np.zeros((height, width), np.bool_)


def load_defects(folder: Path, dataset: Dataset, viewer: FrameViewer, progress: Progress) -> RealDefects:
    """All pictures of a folder of defects with their masks, as the model sees them.

    Raises ConfigError for a folder, pictures or masks that cannot be used, and when one of the pictures is also among
    the good or the test pictures: what was learned must not be measured with. DatasetError for unreadable pictures.
    """
    found = _find(folder)
    facts = read_facts(found, progress)
    if problems := [each.mask_problem for each in facts if each.mask_problem]:
        raise ConfigError(f"cpr.defects: {len(problems)} masks are wrong:\n{problem_lines(problems)}")
    for note in mask_notes([each.mask for each in facts if each.mask is not None]):
        progress.say(f"cpr.defects: {note}")
    pictures = tuple(each.picture for each in facts)
    others = {picture.pixels: picture.path for picture in (*dataset.good, *dataset.test)}
    if leaks := [f"{p.path} is the same picture as {others[p.pixels]}" for p in pictures if p.pixels in others]:
        raise ConfigError(
            f"cpr.defects: {len(leaks)} pictures of defects are also in the dataset, and what is learned must neither "
            f"pass as good nor be measured with:\n{problem_lines(leaks)}\ntake each out of one of the two"
        )
    height, width = viewer.height, viewer.width
    seen = [_as_seen(picture, viewer) for picture in pictures]
    kept = [(picture, each) for picture, each in zip(pictures, seen, strict=True) if each[1].any()]
    if len(kept) < len(pictures):
        progress.say(
            f"{len(pictures) - len(kept)} defects vanish at {size_text(height, width)} pixels and are not learned from"
        )
    if not kept:
        raise ConfigError(
            f"cpr.defects: all defects in {folder} vanish at {size_text(height, width)} pixels: take a larger size"
        )
    sources = tuple(picture for picture, _ in kept)
    return RealDefects(sources, np.stack([image for _, (image, _) in kept]), np.stack([mask for _, (_, mask) in kept]))


def _as_seen(picture: Picture, viewer: FrameViewer) -> tuple[Image, Mask]:
    """A picture of a defect as the model sees it, and where the defect is there."""
    image = read_picture(picture.path)
    sight = viewer.see(image)
    if viewer.view.record is None:
        mask = read_mask(picture, viewer.height, viewer.width)
        return sight.picture, np.zeros(sight.picture.shape[:2], np.bool_) if mask is None else mask
    in_frame = read_mask(picture, *image.shape[:2])
    return sight.picture, mask_in_view(np.zeros(image.shape[:2], np.bool_) if in_frame is None else in_frame, sight)


def _find(folder: Path) -> list[Picture]:
    """The pictures, not read yet, each with its mask. Raises ConfigError."""
    layout = next(((folder / p, folder / m) for p, m in LAYOUTS if (folder / p).is_dir()), None)
    if layout is None:
        raise ConfigError(
            f"cpr.defects: {folder} has neither a folder `pictures` (with `masks` beside it) nor MVTec's `test` (with "
            "`ground_truth`)"
        )
    found, missing, finder = [], [], MaskFinder()
    for path in list_pictures(layout[0], recursive=True):
        inside = path.relative_to(layout[0])
        if len(inside.parts) > 1 and sound_of(inside.parts[0]) is Sound.GOOD:
            continue
        mask = finder.find(layout[1] / inside.parent, path.stem)
        if mask is None:
            missing.append(f"{path}: expected {layout[1] / inside.parent / path.stem}_mask.png")
        found.append(Picture(path, inside.parts[0] if len(inside.parts) > 1 else "defect", mask, ""))
    if missing:
        raise ConfigError(f"cpr.defects: {len(missing)} pictures have no mask:\n{problem_lines(missing)}")
    if not found:
        raise ConfigError(f"cpr.defects: {layout[0]} holds no pictures ({', '.join(PICTURE_SUFFIXES)})")
    return found


def _one_region(mask: Mask, random: np.random.Generator) -> Mask:
    """One connected region of a mask."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return np.asarray(labels == random.integers(1, count))


def _similarity(
    centre: NDArray[np.float64], spot: NDArray[np.intp], random: np.random.Generator
) -> NDArray[np.float64]:
    """The 2x3 matrix that turns, scales and perhaps mirrors about the centre, which comes to lie on the spot."""
    angle, scale = random.uniform(-np.pi, np.pi), random.uniform(0.8, 1.25)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn[:, 0] *= random.choice((-1, 1))
    return np.hstack([turn, (spot - turn @ centre)[:, None]])


def _blended(picture: Image, source: Image, mask: Mask, random: np.random.Generator) -> Image:
    """The source inside the mask, with a soft seam, a little lighter or darker."""
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), FEATHER)[..., None]
    alpha = np.maximum(alpha, 0) * random.uniform(0.8, 1)
    changed = source.astype(np.float32) * random.uniform(0.9, 1.1)
    return np.asarray(np.clip(np.round(alpha * changed + (1 - alpha) * picture), 0, 255), np.uint8)
