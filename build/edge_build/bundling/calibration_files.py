"""`calibration/` of a bundle: what INT8 was calibrated on, and what came of it, for people and for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_build.data.pictures import Picture
from edge_build.evaluation.result import name_in
from edge_build.graphs.precisions import PrecisionMaker
from edge_build.on_device.calibration_pictures import CalibrationPicture, CalibrationPictures
from edge_calibration.activation_ranges import ranges_by
from edge_calibration.trt_calibrator import cache_text
from edge_runtime.engines.tensorrt.implicit_int8 import PICTURES, PLAN, Calibrator


def write_calibration(folder: Path, maker: PrecisionMaker, pictures: Sequence[Picture], root: Path) -> None:
    """Write the list of pictures, the plan and TensorRT's caches below `folder`. root: the dataset's."""
    if maker.plan is None:
        raise ValueError("nothing was calibrated")
    (folder / PLAN).parent.mkdir()
    listed = tuple(CalibrationPicture(path=name_in(root, picture), sha256=picture.sha256) for picture in pictures)
    for file, record in ((PICTURES, CalibrationPictures(pictures=listed)), (PLAN, maker.plan)):
        (folder / file).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for calibrator in Calibrator:
        ranges = ranges_by(calibrator.value, maker.statistics)
        (folder / calibrator.cache_file).write_bytes(cache_text(calibrator, ranges))
