"""The rendered dataset."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from edge_build.data.dataset import scan_dataset
from edge_build.data.pictures import read_mask
from edge_build.progress import SilentProgress
from edge_build.sample.camera import photograph, scene_by_chance
from edge_build.sample.dataset import SampleCounts, make_sample
from edge_build.sample.defects import DEFECTS
from edge_build.sample.part import SCALE, SIDE, draw_surface, pose_by_chance
from edge_runtime.errors import ConfigError, StorageError
from edge_runtime.imaging.reader import read_picture

TINY = SampleCounts(train=4, test_good=2, per_defect=1)


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "sample"
    make_sample(root, 0, TINY, SilentProgress())
    return root


def test_the_sample_is_a_dataset_with_masks(sample):
    dataset = scan_dataset(sample)
    assert len(dataset.good) == 4
    assert [p.label for p in dataset.test] == [*[*DEFECTS][:4], "good", "good", *[*DEFECTS][4:]]
    assert dataset.has_masks
    assert read_picture(dataset.good[0].path).shape == (320, 320, 3)


def test_masks_cover_a_small_part_of_the_picture(sample):
    for picture in scan_dataset(sample).test:
        mask = read_mask(picture, 320, 320)
        assert (20 < mask.sum() < 2500) == (picture.label != "good")


def test_the_same_seed_makes_the_same_bytes_and_more_pictures_leave_them_alone(sample, tmp_path):
    make_sample(tmp_path / "again", 0, SampleCounts(train=5, test_good=1, per_defect=0), SilentProgress())
    again, first = files(tmp_path / "again"), files(sample)
    assert len(again) == 6
    assert all(first.get(name, again[name]) == again[name] for name in again)
    assert len(first.keys() & again.keys()) == 5


def test_another_seed_makes_other_pictures(sample, tmp_path):
    make_sample(tmp_path / "other", 1, SampleCounts(train=1, test_good=0, per_defect=0), SilentProgress())
    (name, data), *_ = files(tmp_path / "other").items()
    assert files(sample)[name] != data


def test_the_folders_are_readable_by_all(sample):
    assert sample.stat().st_mode & 0o777 == 0o755


def part():
    random = np.random.default_rng(5)
    return draw_surface(pose_by_chance(random), random)


def photo(surface):
    return photograph(surface, scene_by_chance(np.random.default_rng(7)), np.random.default_rng(8)).astype(float)


@pytest.fixture(scope="module")
def good():
    return photo(part())


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("severity", [0.1, 1.0])
def test_a_defect_changes_the_picture_where_its_mask_says(good, defect, severity):
    # given the same part in the same light, with and without the defect
    surface = part()
    mask = DEFECTS[defect](surface, severity, np.random.default_rng(6))
    bad = photo(surface)
    # then the pictures differ on the mask, and hardly far from it
    on_mask = mask.reshape(SIDE, SCALE, SIDE, SCALE).mean(axis=(1, 3)) >= 0.25
    rows, columns = np.nonzero(on_mask)
    near = np.zeros_like(on_mask)
    near[max(rows.min() - 20, 0) : rows.max() + 20, max(columns.min() - 20, 0) : columns.max() + 20] = True
    change = np.abs(bad - good).max(axis=2)
    assert change[on_mask].mean() > 5
    assert change[~near].mean() < 0.1


def test_an_empty_folder_is_taken(tmp_path):
    make_sample(tmp_path, 0, SampleCounts(1, 0, 0), SilentProgress())
    assert list(files(tmp_path)) == ["train/good/000.jpg"]


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match="is not empty: give a new folder, so that nothing is mixed or overwritten"):
        make_sample(tmp_path, 0, TINY, SilentProgress())
    assert list(files(tmp_path)) == ["notes.txt"]


def test_a_place_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"sample cannot be made: .*; check the disk and the rights"):
        make_sample(tmp_path / "file" / "sample", 0, TINY, SilentProgress())


def test_a_disk_that_takes_no_more_leaves_nothing_behind(tmp_path):
    # given a process that may write files of at most 4 kB, as on a disk that gets full
    code = """
        import resource, sys
        from pathlib import Path
        from edge_build.progress import SilentProgress
        from edge_build.sample.dataset import SampleCounts, make_sample
        from edge_runtime.errors import StorageError
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            make_sample(Path(sys.argv[1]), 0, SampleCounts(2, 0, 0), SilentProgress())
        except StorageError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "sample")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == (
        f"the sample cannot be written to {tmp_path / 'sample'}: File too large; nothing was left there, "
        "make room on the disk and try again\n"
    )
    assert list(tmp_path.iterdir()) == []
