"""The development sets: what is written, and that it is the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from benchmarks.accuracy import development
from benchmarks.shared.development.changes import DEFECTS, part_of, varied, with_defect

from edge_build.data.dataset import scan_dataset

FEW = ("--side", "64", "--train", "4", "--good", "1", "--defect", "1")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, data_of_a_part: Path) -> Path:
    folder = tmp_path_factory.mktemp("development")
    development.main([str(folder), *FEW, "--real", str(data_of_a_part)])
    return folder


@pytest.fixture(scope="module")
def data_of_a_part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    good = tmp_path_factory.mktemp("real") / "bolt" / "train" / "good"
    good.mkdir(parents=True)
    for number in range(8):
        picture = np.full((80, 120, 3), 200, np.uint8)
        cv2.circle(picture, (60, 40), 20, (60 + number,) * 3, -1)
        cv2.imwrite(str(good / f"{number}.png"), picture)
    return good.parents[1]


def test_every_set_has_good_pictures_and_defects_of_four_kinds_with_masks(written: Path) -> None:
    names = sorted(folder.name for folder in written.iterdir())

    assert len(names) == 9
    assert {"bolt", "brick", "metal", "weave"} < set(names)
    for name in names:
        dataset = scan_dataset(written / name)
        assert len(dataset.good) == 4
        assert sorted(picture.label for picture in dataset.test) == sorted(["good", *DEFECTS])
        assert dataset.has_masks


def test_the_same_seed_writes_the_same_pictures(written: Path, tmp_path: Path) -> None:
    development.main([str(tmp_path), *FEW, "--sets", "metal", "wood"])

    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.png"))
    assert len(files) == 2 * (4 + 1 + 4 + 4)
    assert all((tmp_path / file).read_bytes() == (written / file).read_bytes() for file in files)


def test_a_set_that_is_there_is_not_written_over(written: Path) -> None:
    with pytest.raises(SystemExit, match=r"brick exists: name another folder, or remove it"):
        development.main([str(written), *FEW])


def test_a_folder_without_good_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"empty has no good pictures in train/good"):
        development.main([str(tmp_path / "out"), *FEW, "--real", str(tmp_path / "empty")])


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_changes_what_its_mask_covers_and_hardly_anything_else(kind: str) -> None:
    random = np.random.default_rng(0)
    picture = random.integers(90, 110, (96, 96, 3)).astype(np.uint8)
    cv2.rectangle(picture, (20, 30), (60, 50), (150, 140, 130), -1)

    changed, mask = with_defect(picture, np.ones((96, 96), np.bool_), kind, random)

    difference = np.abs(changed.astype(int) - picture).max(2)
    assert 12 <= mask.sum() < 0.2 * mask.size
    assert difference[~mask].max() <= 5


def test_natural_variation_stays_small() -> None:
    random = np.random.default_rng(0)
    picture = np.full((96, 96, 3), 120, np.uint8)
    for _ in range(10):
        changed = varied(picture, np.ones((96, 96), np.bool_), random).astype(int)
        assert np.abs(changed - np.median(changed)).max() < 40


def test_a_part_is_what_differs_from_the_border() -> None:
    picture = np.full((60, 60, 3), 200, np.uint8)
    picture[20:40, 20:40] = 80

    assert part_of(picture)[30, 30]
    assert not part_of(picture)[2, 2]
    assert part_of(np.full((60, 60, 3), 200, np.uint8)).all()
