"""Which development sets there are, and how each is written: MVTec's layout, the same files for the same seed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.shared.development import parts, surfaces
from benchmarks.shared.development.changes import DEFECTS, Mask, part_of, varied, with_defect
from benchmarks.shared.development.surfaces import Image, Random
from edge_runtime.imaging.reader import PICTURE_SUFFIXES, read_picture

Maker = Callable[[bool, Random], tuple[Image, Mask]]  # for a test picture or not: a good picture, and its part


@dataclass(frozen=True)
class Counts:
    """How many pictures a set has: good ones to learn from, good ones to test, and of each kind of defect."""

    train: int = 48
    good: int = 24
    defect: int = 8


def makers(side: int, real: Sequence[Path]) -> dict[str, Maker]:
    """Every set by its name. side: of the pictures in pixels. real: folders of good pictures of real parts."""
    found: dict[str, Maker] = {}
    for name in ("brick", "gravel", "grass"):
        found[name] = partial(_surface, partial(surfaces.photograph, name, side))
    found["weave"] = partial(_surface, lambda test, random: surfaces.weave(side, random))
    for part in (parts.coin, parts.metal, parts.plastic, parts.wood):
        found[part.__name__] = partial(_part, part, side)
    for folder in real:
        found[folder.name] = _Photographed(folder, side)
    return found


def write_set(root: Path, maker: Maker, counts: Counts, seed: int) -> None:
    """One set into a folder that is not there yet."""
    random = np.random.default_rng((seed, zlib.crc32(root.name.encode())))
    for number in range(counts.train):
        _write(root / "train" / "good" / f"{number:03}.png", varied(*maker(False, random), random))
    for number in range(counts.good):
        _write(root / "test" / "good" / f"{number:03}.png", varied(*maker(True, random), random))
    for kind in DEFECTS:
        for number in range(counts.defect):
            picture, place = maker(True, random)
            changed, mask = with_defect(varied(picture, place, random), place, kind, random)
            _write(root / "test" / kind / f"{number:03}.png", changed)
            _write(root / "ground_truth" / kind / f"{number:03}_mask.png", mask.astype(np.uint8) * 255)


def _write(path: Path, picture: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), picture):
        raise OSError(f"{path} cannot be written")


def _surface(surface: Callable[[bool, Random], Image], test: bool, random: Random) -> tuple[Image, Mask]:
    picture = surface(test, random)
    return picture, np.ones(picture.shape[:2], np.bool_)


def _part(
    part: Callable[[int, Random], tuple[Image, Mask]], side: int, test: bool, random: Random
) -> tuple[Image, Mask]:
    return part(side, random)


class _Photographed:
    """The good pictures of a folder, each once; those to test are the last two fifths by name."""

    def __init__(self, folder: Path, side: int) -> None:
        paths = sorted(p for p in folder.rglob("train/good/*") if p.suffix.lower() in PICTURE_SUFFIXES)
        if len(paths) < 2:
            raise SystemExit(f"{folder} has no good pictures in train/good: name folders in MVTec's layout")
        cut = len(paths) * 3 // 5
        self._paths, self._side, self._next = {False: paths[:cut], True: paths[cut:]}, side, {False: 0, True: 0}

    def __call__(self, test: bool, random: Random) -> tuple[Image, Mask]:
        paths = self._paths[test]
        # 7 shares no factor with the usual counts: the pictures are taken from the whole stretch
        path = paths[self._next[test] * 7 % len(paths)]
        self._next[test] += 1
        picture = read_picture(path)
        height, width = picture.shape[:2]
        factor = self._side / (height * width) ** 0.5
        small = cv2.resize(picture, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8), part_of(np.asarray(small, np.uint8))
