"""Pictures of surfaces that made-up defects are cut from: a folder of the user's, with folders in it or without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.progress import Progress
from edge_runtime.errors import ConfigError
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.imaging.reader import PICTURE_SUFFIXES, read_picture

MOST_TEXTURES = 300


def load_textures(
    folder: Path | None, height: int, width: int, seed: int, progress: Progress
) -> list[NDArray[np.uint8]]:
    """Uint8 BGR (height, width, 3) each, at most MOST_TEXTURES of the folder's by the seed; none without a folder.

    Raises ConfigError when the folder holds no pictures, PictureError for one that cannot be read.
    """
    if folder is None:
        return []
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())
    if not found:
        raise ConfigError(
            f"cpr.textures: {folder} holds no pictures ({', '.join(PICTURE_SUFFIXES)}); name a folder that does, or "
            "null to make defects from the parts alone"
        )
    chosen = np.random.default_rng(seed).permutation(len(found))[:MOST_TEXTURES]
    paths = [found[index] for index in sorted(chosen)]
    return [preprocess(read_picture(path), height, width)[0] for path in progress.track("textures", paths)]
