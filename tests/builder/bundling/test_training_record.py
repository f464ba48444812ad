from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.tiny_bundle import write_bundle

from edge_build.bundling.training_record import (
    TrainingRecord,
    read_training_record,
    refuse_training_pictures,
    training_record_of,
)
from edge_build.data.dataset import scan_dataset
from edge_build.data.pictures import DatasetError
from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.errors import BundleError


def bundle_that_learned(folder: Path, text: str) -> Bundle:
    write_bundle(folder)
    (folder / "learned.json").write_text(text)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["learned.json"] = {"length": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return open_bundle(folder)


def write_pictures(folder: Path, suffix: str, *seeds: int) -> Path:
    folder.mkdir()
    for seed in seeds:
        image = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{suffix[1:]}{seed}{suffix}"), image)
    return folder


def test_pictures_are_known_again_when_they_were_saved_again(tmp_path: Path) -> None:
    learned = scan_dataset(write_pictures(tmp_path / "learned", ".png", 0, 1, 2, 3, 4)).good
    bundle = bundle_that_learned(tmp_path / "bundle", training_record_of(learned).model_dump_json())
    others = scan_dataset(write_pictures(tmp_path / "others", ".bmp", 5, 6, 7, 8)).good
    again = scan_dataset(write_pictures(tmp_path / "again", ".bmp", 2, 5, 6, 7)).good

    refuse_training_pictures(bundle, others)
    with pytest.raises(DatasetError, match="1 of 4 pictures are among those that tiny-1") as error:
        refuse_training_pictures(bundle, again)

    assert "again/bmp2.bmp" in str(error.value)


def test_a_bundle_that_kept_the_hashes_of_files_alone_knows_the_files(tmp_path: Path) -> None:
    learned = scan_dataset(write_pictures(tmp_path / "learned", ".png", 0, 1, 2, 3)).good
    hashes = sorted(picture.sha256 for picture in learned)
    bundle = bundle_that_learned(tmp_path / "bundle", json.dumps({"sha256": hashes}))

    refuse_training_pictures(bundle, scan_dataset(write_pictures(tmp_path / "again", ".bmp", 0, 1, 2, 3)).good)
    with pytest.raises(DatasetError, match="4 of 4 pictures"):
        refuse_training_pictures(bundle, learned)


def test_a_bundle_without_the_list_knows_none(tmp_path: Path) -> None:
    assert read_training_record(open_bundle(write_bundle(tmp_path / "bundle"))) == TrainingRecord()


@pytest.mark.parametrize("text", ["", "[]", '{"sha256": ["f00"]}'])
def test_an_odd_record_of_learned_pictures_is_refused(tmp_path: Path, text: str) -> None:
    bundle = bundle_that_learned(tmp_path / "bundle", text)
    with pytest.raises(BundleError, match=r"learned.json is not a record of learned pictures: .*; build the bundle ag"):
        read_training_record(bundle)
