"""Writing a bundle: into a temporary folder beside its place, the manifest last, then one rename.

with new_bundle(Path("bundles"), "screw-1") as folder:
    ...write files into folder...
    write_manifest(folder, manifest)
# bundles/screw-1 is there, whole; after an error or Ctrl-C nothing is
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_build.graphs.lint import require_compilable
from edge_build.graphs.precisions import GateResult
from edge_runtime.bundle.manifest import FileEntry, Golden, GoldenValue, GraphEntry, Manifest, Threshold, Tolerance
from edge_runtime.bundle.manifest_digest import NOT_YET, with_digest
from edge_runtime.bundle.reader import MANIFEST, sha256_of
from edge_runtime.errors import ConfigError, StorageError
from edge_runtime.files import Durability, Sync, new_folder, write_file
from edge_runtime.records import Inspection, Precision

DEVICE_TOLERANCE = Tolerance(score=0.01, map=0.02)  # TF32 and other orders of summing, far below what moves a verdict
MOST_TOLERANCE = 0.5


def check_place(out: Path, label: str, remedy: str = "choose another version") -> None:
    """Called before the long work, too: raises ConfigError when the bundle is there already, StorageError when nothing
    can be written to `out`. remedy: how the user gives it another version."""
    if (out / label).exists():
        raise ConfigError(f"{out / label} exists: {remedy}, or move the old bundle away")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{label}.", dir=out):
            pass
    except OSError as error:
        raise _storage_error(out, error) from error


@contextmanager
def new_bundle(out: Path, label: str, sync: Sync = os.fsync) -> Iterator[Path]:
    """A temporary folder that becomes `out/label` when the block ends well, and vanishes when it does not.

    When the block has ended, all of it survives a power cut, its name too. Raises StorageError when the disk is full or
    not writable, ConfigError when the bundle exists.
    """
    check_place(out, label)
    try:
        with new_folder(out / label, Durability.DURABLE, sync) as temporary:
            yield temporary
    except OSError as error:
        raise _storage_error(out, error) from error


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by their names in the bundle."""
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def write_golden(folder: Path, pictures: NDArray[np.uint8], measured: Sequence[Inspection]) -> tuple[Golden, ...]:
    """Write golden pictures (n, H, W, 3) as PNG, with their maps, below `golden/`."""
    (folder / "golden").mkdir()
    written = []
    for number, (picture, inspection) in enumerate(zip(pictures, measured, strict=True)):
        golden = Golden(
            picture=f"golden/{number:02}.png", anomaly_map=f"golden/{number:02}.npy", score=inspection.score
        )
        (folder / golden.picture).write_bytes(cv2.imencode(".png", picture)[1].tobytes())
        _write_map(folder / golden.anomaly_map, inspection)
        written.append(golden)
    return tuple(written)


def write_graphs(
    folder: Path,
    graphs: Mapping[Precision, bytes],
    thresholds: Mapping[Precision, Threshold],
    measured: Mapping[Precision, Sequence[Inspection]],
    results: Mapping[Precision, GateResult],
) -> dict[Precision, GraphEntry]:
    """Write every precision's graph and, but for FP32, its golden maps. measured: on the golden pictures."""
    entries: dict[Precision, GraphEntry] = {}
    for precision, graph in graphs.items():
        file, threshold = f"model.{precision.value}.onnx", thresholds[precision]
        (folder / file).write_bytes(graph)
        if precision is Precision.FP32:
            entries[precision] = GraphEntry(file=file, threshold=threshold)
            continue
        require_compilable(graph)
        entries[precision] = GraphEntry(
            file=file,
            threshold=threshold,
            golden=write_golden_values(folder, precision, measured[precision]),
            tolerance=tolerance_from(measured[Precision.FP32], measured[precision], threshold),
            gate=results[precision].gate,
        )
    return entries


def tolerance_from(fp32: Sequence[Inspection], own: Sequence[Inspection], threshold: Threshold) -> Tolerance:
    """How far an engine of a precision may be from its golden values: as far as the precision itself is from FP32.

    Two devices that round FP16 or INT8 in another order differ by about what rounding does at all.
    """
    score = max(abs(a.score - b.score) for a, b in zip(fp32, own, strict=True)) / threshold.score
    peak = max(float(np.abs(a.anomaly_map - b.anomaly_map).max()) for a, b in zip(fp32, own, strict=True))
    return Tolerance(
        score=min(max(score, DEVICE_TOLERANCE.score), MOST_TOLERANCE),
        map=min(max(peak / threshold.map, DEVICE_TOLERANCE.map), MOST_TOLERANCE),
    )


def write_golden_values(folder: Path, precision: Precision, measured: Sequence[Inspection]) -> tuple[GoldenValue, ...]:
    """Write the maps that a precision's own graph made of the golden pictures, below `golden/`."""
    written = []
    for number, inspection in enumerate(measured):
        value = GoldenValue(anomaly_map=f"golden/{number:02}.{precision.value}.npy", score=inspection.score)
        _write_map(folder / value.anomaly_map, inspection)
        written.append(value)
    return tuple(written)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`, the last of the files, with the length and hash of every other one in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = {p.relative_to(folder).as_posix(): FileEntry(length=p.stat().st_size, sha256=sha256_of(p)) for p in files}
    replace_manifest(folder, manifest.with_changes(files=entries))


def replace_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` with its digest, durably and in one rename. Raises OSError."""
    complete = manifest.with_changes(digest=NOT_YET)
    content = with_digest(complete.model_dump_json(indent=2).encode() + b"\n")
    write_file(folder / MANIFEST, content, Durability.DURABLE)


def _write_map(path: Path, inspection: Inspection) -> None:
    buffer = io.BytesIO()  # np.save itself does not say why a disk takes no more
    np.save(buffer, inspection.anomaly_map, allow_pickle=False)
    path.write_bytes(buffer.getvalue())


def _storage_error(out: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the bundle cannot be written to {out}: {error.strerror or error}; nothing was left there. "
        "Check the disk's free space and the rights, or choose another --out"
    )
