"""A bundle made from another one without learning: what its two ways (recalibrate.py, change_rate.py) share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edge_build.bundling.writer import check_place
from edge_build.data.dataset import Dataset, fingerprint
from edge_build.graphs.precisions import GateResult
from edge_runtime.bundle.manifest import VERSION, Manifest, Recalibration, Record, Threshold, label_of
from edge_runtime.bundle.reader import MANIFEST, Bundle, open_bundle, sha256_of
from edge_runtime.errors import ConfigError
from edge_runtime.records import Precision


class Recalibrated(Record):
    """`edge-build calibrate --json`: the new bundle, and what it holds."""

    folder: str
    bundle: str
    precisions: tuple[Precision, ...]
    thresholds: dict[Precision, Threshold]
    results: dict[Precision, GateResult]
    notes: tuple[str, ...]


def open_parent(folder: Path, version: str, out: Path) -> tuple[Bundle, str]:
    """The bundle to start from, and the label of the new one, for which there is room in `out`.

    Raises ConfigError, StorageError or BundleError.
    """
    if not re.fullmatch(VERSION, version):
        raise ConfigError(f"--version {version!r}: 1 to 20 letters, digits, _ . and -, starting with a letter or digit")
    bundle = open_bundle(folder)
    label = label_of(bundle.manifest.name, version)
    check_place(out, label, "give another --version")
    return bundle, label


def recalibration_of(bundle: Bundle, dataset: Dataset | None) -> Recalibration:
    """Where the new bundle comes from. dataset: None when its pictures are those of the old one."""
    return Recalibration(
        bundle=bundle.label,
        manifest=sha256_of(bundle.folder / MANIFEST),
        dataset=None if dataset is None else dataset.name,
        pictures=0 if dataset is None else len(dataset.good),
        fingerprint=None if dataset is None else fingerprint(dataset),
        parent=bundle.manifest.recalibration,
    )


def derived_manifest(
    bundle: Bundle, version: str, dataset: Dataset | None, counts: Mapping[str, int], **changes: object
) -> Manifest:
    """What the new bundle says of itself: what the old one did, but for what is another now. Figures on test pictures
    belong to the old thresholds, so it has none.

    dataset: as in `recalibration_of`. counts: of the pictures and their duties, as in the manifest's `dataset`.
    """
    return bundle.manifest.with_changes(
        version=version,
        dataset=bundle.manifest.dataset.with_changes(**counts, test_good=0, test_defect=0),
        figures={},
        recalibration=recalibration_of(bundle, dataset),
        **changes,
    )


def passed_negative(bundle: Bundle, threshold: Threshold) -> float | None:
    """The score of the golden negative when that threshold would pass it, and the bundle's own does not."""
    negative = max(golden.score for golden in bundle.manifest.golden)
    return negative if bundle.threshold(Precision.FP32).score < negative <= threshold.score else None


def change_text(old: Threshold, new: Threshold) -> str:
    """What became of the threshold of FP32, in words."""
    return f"threshold {old.score:.4g} before, {new.score:.4g} now (fp32)"
