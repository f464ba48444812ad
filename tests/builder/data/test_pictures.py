from __future__ import annotations

import hashlib

import numpy as np
import pytest
from tests.support.mvtec_dataset import picture, refusal, write

from edge_build.data.dataset import scan_dataset
from edge_build.data.pictures import DatasetError, PreparedPictures, load_prepared, read_mask
from edge_build.progress import SilentProgress
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.imaging.reader import read_picture
from edge_runtime.imaging.see import whole_frame_viewer


def test_a_picture_carries_the_hash_of_its_file(mvtec):
    first = scan_dataset(mvtec).good[0]
    assert first.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()


def test_all_unreadable_pictures_are_named_at_once(mvtec):
    (mvtec / "train" / "good" / "1.png").write_bytes(b"")
    whole = (mvtec / "test" / "dent" / "0.png").read_bytes()
    (mvtec / "test" / "dent" / "0.png").write_bytes(whole[:-15])
    (mvtec / "ground_truth" / "scratch" / "1.png").write_bytes(b"nonsense")
    text = refusal(mvtec)
    assert text.startswith("3 of 12 pictures cannot be used:\n")
    assert "1.png is empty" in text
    assert "0.png is cut off" in text
    assert "the mask" in text
    assert "is no PNG" in text


def test_of_many_problems_the_first_ten_are_named(tmp_path):
    for n in range(13):
        (tmp_path / f"{n}.png").touch()
    text = refusal(tmp_path)
    assert text.count("is empty") == 10
    assert text.endswith("  and 3 more")


def test_a_mask_comes_at_the_models_size(mvtec):
    dataset = scan_dataset(mvtec)
    mask = read_mask(dataset.test[0], 24, 32)
    assert mask.dtype == np.bool_
    wanted = np.zeros((24, 32), bool)
    wanted[4:8, 6:18] = True
    assert np.array_equal(mask, wanted)


def test_the_mask_of_a_good_picture_is_empty(mvtec):
    mask = read_mask(scan_dataset(mvtec).good[0], 5, 6)
    assert mask.shape == (5, 6)
    assert not mask.any()


def test_pictures_are_loaded_as_the_daemon_prepares_them(mvtec):
    good = scan_dataset(mvtec).good
    images = load_prepared(good, whole_frame_viewer(8, 10), SilentProgress())
    assert images.shape == (6, 8, 10, 3)
    assert images.dtype == np.uint8
    for image, item in zip(images, good, strict=True):
        assert np.array_equal(image, preprocess(read_picture(item.path), 8, 10)[0])


def test_a_picture_that_changed_since_the_scan_is_refused(mvtec):
    good = scan_dataset(mvtec).good
    write(good[4].path, picture(99))
    with pytest.raises(DatasetError, match=r"4\.png was changed since it was first read: leave the pictures alone"):
        load_prepared(good, whole_frame_viewer(8, 8), SilentProgress())


def test_a_picture_that_vanished_since_the_scan_is_refused(mvtec):
    good = scan_dataset(mvtec).good
    good[2].path.unlink()
    with pytest.raises(DatasetError, match=r"2\.png is gone or never existed"):
        load_prepared(good, whole_frame_viewer(8, 8), SilentProgress())


def test_prepared_pictures_are_found_by_picture(mvtec):
    good = scan_dataset(mvtec).good
    prepared = PreparedPictures(good, whole_frame_viewer(8, 8), SilentProgress())
    assert prepared.all().shape == (6, 8, 8, 3)
    assert prepared.rows([good[4], good[1]]) == [4, 1]
    assert np.array_equal(prepared.of([good[4], good[1]]), prepared.all()[[4, 1]])
