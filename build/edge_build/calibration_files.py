"""`calibration/` of a bundle: what INT8 was calibrated on, and what came of it, for people and for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_build.evaluation import name_in
from edge_build.pictures import Picture
from edge_build.precisions import PrecisionMaker
from edge_calibration.implicit import cache_text
from edge_calibration.ranges import ranges_by
from edge_runtime.manifest import Record, Sha256

FOLDER = "calibration"


class CalibrationPicture(Record):
    """A picture that ranges were measured on: its name in the dataset, and the SHA-256 of its file."""

    path: str
    sha256: Sha256


class CalibrationPictures(Record):
    """`calibration/pictures.json`."""

    pictures: tuple[CalibrationPicture, ...]


def write_calibration(folder: Path, maker: PrecisionMaker, pictures: Sequence[Picture], root: Path) -> None:
    """Write the list of pictures, the plan and TensorRT's caches below `folder`. root: the dataset's."""
    if maker.plan is None:
        raise ValueError("nothing was calibrated")
    (folder / FOLDER).mkdir()
    listed = tuple(CalibrationPicture(path=name_in(root, picture), sha256=picture.sha256) for picture in pictures)
    for name, record in (("pictures", CalibrationPictures(pictures=listed)), ("int8", maker.plan)):
        (folder / FOLDER / f"{name}.json").write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    entropy, minmax = ranges_by("entropy", maker.statistics), ranges_by("minmax", maker.statistics)
    (folder / FOLDER / "entropy2.cache").write_bytes(cache_text("entropy-2", entropy))
    (folder / FOLDER / "minmax.cache").write_bytes(cache_text("minmax", minmax))
