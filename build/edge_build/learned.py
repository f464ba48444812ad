"""`learned.json` of a bundle: which pictures the detector has seen, so that it is never calibrated on them later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_build.pictures import DatasetError, Picture, problem_lines
from edge_runtime.bundle import Bundle
from edge_runtime.manifest import Record, Sha256

FILE = "learned.json"


class Learned(Record):
    """The SHA-256 of the picture files, sorted."""

    sha256: tuple[Sha256, ...]


def write_learned(folder: Path, learned: Iterable[str]) -> None:
    """learned: the SHA-256 of every picture that the detector learned from or compares with."""
    record = Learned(sha256=tuple(sorted(set(learned))))
    (folder / FILE).write_text(record.model_dump_json() + "\n", encoding="utf-8")


def read_learned(bundle: Bundle) -> tuple[str, ...]:
    """Likewise; empty for a bundle that has no such list."""
    if FILE not in bundle.manifest.files:
        return ()
    return Learned.model_validate_json((bundle.folder / FILE).read_bytes()).sha256


def refuse_learned(bundle: Bundle, pictures: Sequence[Picture]) -> None:
    """Raises DatasetError when the bundle's detector has seen one of the pictures."""
    known = set(read_learned(bundle))
    if seen := [str(picture.path) for picture in pictures if picture.sha256 in known]:
        raise DatasetError(
            f"{len(seen)} of {len(pictures)} pictures are among those that {bundle.label} learned from, so a threshold "
            f"on them would be too low:\n{problem_lines(seen)}\ngive pictures that the line has taken since"
        )
