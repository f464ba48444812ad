"""The pictures that a bundle's INT8 was calibrated on: their list in the bundle, and they themselves, found again.

    pictures = find_pictures(bundle, Path("screw"), progress)  # uint8 (n, H, W, 3), varied in light as in the build

It needs neither torch nor onnx.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.data.pictures import problem_lines
from edge_build.progress import Progress
from edge_build.recipe.recipe import recipe_from_yaml
from edge_calibration.lighting import varied
from edge_runtime.bundle.manifest import Record, Sha256
from edge_runtime.bundle.reader import MANIFEST, Bundle
from edge_runtime.engines.tensorrt.implicit_int8 import PICTURES
from edge_runtime.errors import BundleError, ConfigError
from edge_runtime.imaging.reader import picture_from_bytes


class CalibrationPicture(Record):
    """A picture that ranges were measured on: its name in the dataset, and the SHA-256 of its file."""

    path: str
    sha256: Sha256


class CalibrationPictures(Record):
    """`calibration/pictures.json`."""

    pictures: tuple[CalibrationPicture, ...]


def find_pictures(bundle: Bundle, folder: Path, progress: Progress) -> list[NDArray[np.uint8]]:
    """The bundle's calibration set, uint8 BGR (1, height, width, 3) each, prepared, in the light of the recipe.

    folder: the dataset, with the pictures where they were when the bundle was built. Raises BundleError without a list
    of pictures, ConfigError that names every picture that is missing or another.
    """
    if PICTURES not in bundle.manifest.files:
        raise BundleError(f"bundle {bundle.label} has no {PICTURES}: it was built without INT8")
    listed = bundle.record(PICTURES, CalibrationPictures, "a list of calibration pictures").pictures
    viewer, found, wrong = bundle.viewer(), [], []
    for one in progress.track("calibration pictures", listed):
        path = folder / one.path
        try:
            data = path.read_bytes()
        except OSError as error:
            wrong.append(f"{path}: {error.strerror}")
            continue
        if hashlib.sha256(data).hexdigest() != one.sha256:
            wrong.append(f"{path}: it is not the picture that the bundle was calibrated on, its SHA-256 differs")
            continue
        found.append(viewer.see(picture_from_bytes(data, path)).picture)
    if wrong:
        raise ConfigError(
            f"{len(wrong)} of the {len(listed)} calibration pictures of bundle {bundle.label} are not in {folder}:\n"
            f"{problem_lines(wrong)}\ngive the folder that the bundle was built from, or leave --calibration-pictures "
            "out: then the ranges in the bundle are used"
        )
    settings = recipe_from_yaml(bundle.manifest.recipe, bundle.folder / f"{MANIFEST}: recipe").calibration
    return list(varied(np.stack(found), settings.exposure, settings.lighting))
