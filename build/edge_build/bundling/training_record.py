"""`learned.json` of a bundle: which pictures the detector has seen, so that it is never recalibrated on them, and which
its thresholds were set on since, so that no figure measured on them passes as one of new pictures.

A picture is known again by its file, and by its decoded pixels when it was saved again without loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_build.data.pictures import DatasetError, Picture, problem_lines
from edge_runtime.bundle.manifest import Record, Sha256
from edge_runtime.bundle.reader import Bundle

FILE = "learned.json"


class TrainingRecord(Record):
    """Of every picture that the detector learned from or compares with: `Picture.sha256` and `Picture.pixels`, sorted.

    pixels: empty in bundles of earlier versions. set_on: `Picture.pixels` of those that `calibrate` set thresholds and
    INT8 on; nothing was learned from them.
    """

    sha256: tuple[Sha256, ...] = ()
    pixels: tuple[Sha256, ...] = ()
    set_on: tuple[Sha256, ...] = ()


def training_record_of(pictures: Iterable[Picture]) -> TrainingRecord:
    """The record of these pictures."""
    seen = set(pictures)
    return TrainingRecord(
        sha256=tuple(sorted({picture.sha256 for picture in seen})),
        pixels=tuple(sorted({picture.pixels for picture in seen})),
    )


def write_training_record(folder: Path, record: TrainingRecord) -> None:
    """Write it into a bundle's folder."""
    (folder / FILE).write_text(record.model_dump_json() + "\n", encoding="utf-8")


def read_training_record(bundle: Bundle) -> TrainingRecord:
    """That of a bundle; empty where there is no such file. Raises BundleError for a file that is no such record."""
    if FILE not in bundle.manifest.files:
        return TrainingRecord()
    return bundle.record(FILE, TrainingRecord, "a record of learned pictures")


def with_set_on(record: TrainingRecord, pictures: Iterable[Picture]) -> TrainingRecord:
    """The record of a bundle whose thresholds were set on these pictures since."""
    return record.model_copy(update={"set_on": tuple(sorted({*record.set_on, *(p.pixels for p in pictures)}))})


def seen_before(bundle: Bundle, pictures: Sequence[Picture]) -> list[Picture]:
    """Those of the pictures that the bundle learned from, or that its thresholds were set on."""
    record = read_training_record(bundle)
    files, pixels = set(record.sha256), {*record.pixels, *record.set_on}
    return [picture for picture in pictures if picture.sha256 in files or picture.pixels in pixels]


def refuse_training_pictures(bundle: Bundle, pictures: Sequence[Picture]) -> None:
    """Raises DatasetError when the bundle's detector has seen one of the pictures."""
    record = read_training_record(bundle)
    files, pixels = set(record.sha256), set(record.pixels)
    if seen := [str(p.path) for p in pictures if p.sha256 in files or p.pixels in pixels]:
        raise DatasetError(
            f"{len(seen)} of {len(pictures)} pictures are among those that {bundle.label} learned from, so a threshold "
            f"on them would be too low:\n{problem_lines(seen)}\ngive pictures that the line has taken since"
        )
