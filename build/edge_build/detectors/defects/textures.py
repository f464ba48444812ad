"""Pictures of surfaces that made-up defects are cut from: those that a program makes, and a folder of the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.detectors.defects.procedural import procedural_textures
from edge_build.progress import Progress
from edge_runtime.errors import ConfigError
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.imaging.reader import PICTURE_SUFFIXES, read_picture

OWN_TEXTURES = 120
MOST_TEXTURES = 300  # of a folder


def load_textures(
    folder: Path | None, height: int, width: int, seed: int, progress: Progress
) -> list[NDArray[np.uint8]]:
    """Uint8 BGR (height, width, 3) each: OWN_TEXTURES made by a program, then at most MOST_TEXTURES of the folder's.

    Raises ConfigError when the folder holds no pictures, PictureError for one that cannot be read.
    """
    paths = [] if folder is None else _pictures_in(folder, seed)
    read = [preprocess(read_picture(path), height, width)[0] for path in progress.track("textures", paths)]
    return [*procedural_textures(OWN_TEXTURES, height, width, seed), *read]


def _pictures_in(folder: Path, seed: int) -> list[Path]:
    """At most MOST_TEXTURES of them, by the seed, with those of folders in it."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())
    if not found:
        raise ConfigError(
            f"cpr.textures: {folder} holds no pictures ({', '.join(PICTURE_SUFFIXES)}); name a folder that does, or "
            "null to do without any but those that a program makes"
        )
    chosen = np.random.default_rng(seed).permutation(len(found))[:MOST_TEXTURES]
    return [found[index] for index in sorted(chosen)]
