"""Scanning folders of pictures: layouts, and all that can be wrong with them."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest

from edge_build.data.dataset import NativeSize, fingerprint, scan_dataset
from edge_build.data.pictures import DatasetError, load_prepared, read_mask
from edge_build.progress import SilentProgress
from edge_runtime.imaging.preprocess import preprocess
from edge_runtime.imaging.reader import read_picture
from edge_runtime.imaging.see import whole_frame_viewer


def picture(seed, height=12, width=16):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def write_mask(path, height=12, width=16, defect=True):
    mask = np.zeros((height, width), np.uint8)
    mask[2:4, 3:9] = 255 * defect
    write(path, mask)


def write_good(folder, count=6):
    for n in range(count):
        write(folder / f"{n}.png", picture(n))


@pytest.fixture
def mvtec(tmp_path):
    """Six good pictures, two good test pictures, two kinds of defects with two pictures each, and masks."""
    root = tmp_path / "part"
    write_good(root / "train" / "good")
    for n in range(2):
        write(root / "test" / "good" / f"{n}.png", picture(100 + n))
        write(root / "test" / "dent" / f"{n}.png", picture(200 + n))
        write(root / "test" / "scratch" / f"{n}.png", picture(300 + n))
        write_mask(root / "ground_truth" / "dent" / f"{n}_mask.png")
        write_mask(root / "ground_truth" / "scratch" / f"{n}.png")
    return root


def refusal(root):
    with pytest.raises(DatasetError) as caught:
        scan_dataset(root)
    return str(caught.value)


def test_the_mvtec_layout_is_found(mvtec):
    dataset = scan_dataset(mvtec)
    assert dataset.name == "part"
    assert [p.path.name for p in dataset.good] == [f"{n}.png" for n in range(6)]
    assert [(p.label, p.path.name) for p in dataset.test] == [
        ("dent", "0.png"),
        ("dent", "1.png"),
        ("good", "0.png"),
        ("good", "1.png"),
        ("scratch", "0.png"),
        ("scratch", "1.png"),
    ]
    assert dataset.test[0].mask == mvtec / "ground_truth" / "dent" / "0_mask.png"
    assert dataset.test[2].mask is None
    assert dataset.test[5].mask == mvtec / "ground_truth" / "scratch" / "1.png"
    assert dataset.has_masks
    assert dataset.sizes == (NativeSize(12, 16, 12),)
    assert not dataset.grey
    assert dataset.notes == ()


def test_a_picture_carries_the_hash_of_its_file(mvtec):
    first = scan_dataset(mvtec).good[0]
    assert first.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()


def test_a_folder_of_good_pictures_is_a_dataset(tmp_path):
    write_good(tmp_path / "monday", 3)
    write(tmp_path / "tuesday" / "a.jpg", picture(9))
    dataset = scan_dataset(tmp_path)
    assert [p.path.relative_to(tmp_path).as_posix() for p in dataset.good] == [
        "monday/0.png",
        "monday/1.png",
        "monday/2.png",
        "tuesday/a.jpg",
    ]
    assert dataset.test == ()
    assert not dataset.has_masks


def test_grey_pictures_and_their_sizes_are_noticed(tmp_path):
    for n in range(5):
        write(tmp_path / f"{n}.png", np.full((8, 10 if n else 12), n, np.uint8))
    dataset = scan_dataset(tmp_path)
    assert dataset.grey
    assert dataset.sizes == (NativeSize(8, 10, 4), NativeSize(8, 12, 1))


def test_a_missing_folder_is_reported(tmp_path):
    assert refusal(tmp_path / "x") == f"{tmp_path / 'x'} is not a folder: give the folder that holds the pictures"


def test_an_empty_folder_is_reported(tmp_path):
    assert refusal(tmp_path) == (
        f"{tmp_path} has no good pictures, at least 4 are needed and 100 or more are better "
        "(.png, .jpg, .jpeg, .bmp, .tif, .tiff files are read)"
    )


def test_one_picture_is_too_few_and_other_files_are_mentioned(tmp_path):
    write_good(tmp_path, 1)
    (tmp_path / "a.webp").touch()
    (tmp_path / "b.webp").touch()
    text = refusal(tmp_path)
    assert "has 1 good picture, at least 4 are needed" in text
    assert "2 files .webp not looked at" in text


def test_files_that_are_not_read_and_linked_folders_are_counted(mvtec, tmp_path):
    write_good(tmp_path / "elsewhere")
    (mvtec / "train/good/linked").symlink_to(tmp_path / "elsewhere")
    for name in ("train/good/a.webp", "train/good/b.webp", "test/good/c.HEIC", "train/good/.hidden.webp"):
        (mvtec / name).touch()
    assert len(scan_dataset(mvtec).good) == 6
    read = "(.png, .jpg, .jpeg, .bmp, .tif, .tiff files are read)"
    assert scan_dataset(mvtec).notes == (
        f"{mvtec}/train/good: 2 files .webp not looked at, 1 linked folder not followed {read}",
        f"{mvtec}/test: 1 file .heic not looked at {read}",
    )


def test_train_without_good_is_reported(tmp_path):
    write_good(tmp_path / "train" / "ok")
    assert refusal(tmp_path) == (f"{tmp_path / 'train'} has no folder `good`: good pictures belong in train/good")


def test_test_without_train_is_reported(tmp_path):
    write_good(tmp_path / "test" / "good")
    assert refusal(tmp_path) == (
        f"{tmp_path} has a test or ground_truth folder but no train/good: good pictures belong there"
    )


def test_a_plain_folder_with_bad_pictures_in_it_is_not_learned_from(tmp_path):
    write_good(tmp_path / "good")
    write(tmp_path / "NOK" / "1.png", picture(50))
    assert "but has folders called NOK: move good pictures to train/good" in refusal(tmp_path)


def test_other_folders_in_train_are_noted(mvtec):
    write(mvtec / "train" / "bad" / "1.png", picture(70))
    assert scan_dataset(mvtec).notes == ("nothing is learned from train/bad",)


def test_pictures_in_test_itself_are_refused(mvtec):
    write(mvtec / "test" / "loose.png", picture(70))
    text = refusal(mvtec)
    assert text.startswith("pictures belong in test/good or test/<defect>, not in test:\n")
    assert "loose.png" in text


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


def test_missing_masks_are_all_named(mvtec):
    (mvtec / "ground_truth" / "dent" / "0_mask.png").unlink()
    (mvtec / "ground_truth" / "scratch" / "1.png").unlink()
    text = refusal(mvtec)
    assert text.startswith("2 masks are missing or wrong:\n")
    expected = mvtec / "ground_truth" / "dent" / "0_mask.png"
    assert f"{mvtec / 'test' / 'dent' / '0.png'} has no mask: expected {expected}" in text
    assert "1_mask.png" in text
    assert text.endswith("mend them, or take ground_truth away to measure pictures only")


def test_one_missing_mask_is_one(mvtec):
    (mvtec / "ground_truth/dent/0_mask.png").unlink()
    assert refusal(mvtec).startswith("1 mask is missing or wrong:\n")


def test_a_mask_of_another_size_is_refused(mvtec):
    write_mask(mvtec / "ground_truth" / "dent" / "0_mask.png", 12, 20)
    assert "0_mask.png is 20 x 12 pixels, its picture 16 x 12" in refusal(mvtec)


def test_an_empty_mask_is_refused(mvtec):
    write_mask(mvtec / "ground_truth" / "dent" / "1_mask.png", defect=False)
    assert "1_mask.png is empty, but its picture has a defect" in refusal(mvtec)


def test_without_any_ground_truth_there_are_no_masks(mvtec):
    (mvtec / "ground_truth").rename(mvtec.parent / "elsewhere")
    dataset = scan_dataset(mvtec)
    assert not dataset.has_masks
    defect = next(p for p in dataset.test if p.label == "dent")
    assert read_mask(defect, 8, 8) is None


def test_copies_between_train_and_test_are_refused_by_name(mvtec):
    copy = mvtec / "test" / "good" / "1.png"
    copy.write_bytes((mvtec / "train" / "good" / "3.png").read_bytes())
    text = refusal(mvtec)
    assert text.startswith("1 test pictures are among those to learn from, so figures would be too good:\n")
    assert f"{copy} is the same picture as {mvtec / 'train' / 'good' / '3.png'}" in text


def test_the_same_pixels_in_another_kind_of_file_are_a_copy(mvtec):
    write(mvtec / "test" / "good" / "9.bmp", read_picture(mvtec / "train" / "good" / "3.png"))
    assert "9.bmp is the same picture as" in refusal(mvtec)


def test_a_test_picture_with_two_labels_is_refused(mvtec):
    write(mvtec / "test" / "good" / "7.png", read_picture(mvtec / "test" / "dent" / "0.png"))
    text = refusal(mvtec)
    assert text.startswith("1 test pictures have two labels:\n")
    assert text.endswith("take the wrong one out")


def test_copies_among_good_pictures_are_left_out_with_a_note(mvtec):
    write(mvtec / "train" / "good" / "8.png", picture(2))
    dataset = scan_dataset(mvtec)
    assert len(dataset.good) == 6
    assert dataset.notes == ("left out 1 exact copies among the good pictures:\n  8.png is 2.png",)


def test_copies_do_not_count_as_pictures(tmp_path):
    for n in range(6):
        write(tmp_path / f"{n}.png", picture(n % 2))
    text = refusal(tmp_path)
    assert "has 2 good pictures, at least 4 are needed" in text
    assert "left out 4 exact copies" in text


def test_the_fingerprint_is_that_of_the_sorted_hashes_and_changes_with_a_picture(mvtec):
    dataset = scan_dataset(mvtec)
    hashes = sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in mvtec.glob("t*/*/*.png"))
    wanted = hashlib.sha256("".join(h + "\n" for h in hashes).encode()).hexdigest()
    assert fingerprint(dataset) == wanted
    write(mvtec / "train" / "good" / "5.png", picture(77))
    assert fingerprint(scan_dataset(mvtec)) != wanted


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


def test_a_turned_picture_is_of_another_shape_than_the_others(mvtec):
    write(mvtec / "train/good/turned.png", picture(50, 16, 12))
    shapes = scan_dataset(mvtec).shapes
    assert shapes.refuse
    assert shapes.text.startswith(
        "1 of 7 good pictures have another shape than the others, which are usually 16 x 12 pixels, width / height "
        f"1.333:\n  {mvtec}/train/good/turned.png: 12 x 16 pixels, width / height 0.750\n"
    )
    assert "take them out of the folder, or turn or crop them" in shapes.text


def test_sizes_that_vary_a_little_or_in_scale_are_no_other_shape(mvtec):
    write(mvtec / "train/good/scaled.png", picture(50, 120, 160))
    write(mvtec / "train/good/cut.png", picture(51, 12, 19))  # 1.19 times as wide
    assert scan_dataset(mvtec).shapes is None


def test_without_a_usual_shape_nothing_is_refused(mvtec):
    for n in range(6):
        write(mvtec / "train/good" / f"high{n}.png", picture(50 + n, 16, 12))
    shapes = scan_dataset(mvtec).shapes
    assert not shapes.refuse
    assert shapes.text.startswith("the good pictures have no usual shape (width / height 0.750 to 1.333)")


def test_the_shapes_of_test_pictures_do_not_count(mvtec):
    write(mvtec / "test/good/turned.png", picture(50, 16, 12))
    assert scan_dataset(mvtec).shapes is None
