from __future__ import annotations

import hashlib

import numpy as np
from tests.support.mvtec_dataset import picture, refusal, write, write_good, write_mask

from edge_build.data.dataset import NativeSize, fingerprint, scan_dataset
from edge_build.data.pictures import read_mask


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
        write(tmp_path / f"{n}.png", np.full((8, 10 if n else 12), 50 + n, np.uint8))
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
    write_good(tmp_path / "train" / "monday")
    assert refusal(tmp_path) == (
        f"{tmp_path / 'train'} has no folder `good` (or `ok`, `normal`), only monday/: "
        "good pictures belong in train/good"
    )


def test_test_without_train_is_reported(tmp_path):
    write_good(tmp_path / "test" / "good")
    assert refusal(tmp_path) == (
        f"{tmp_path} has a test or ground_truth folder but no train/good: good pictures belong there"
    )


def test_a_plain_folder_with_bad_pictures_in_it_is_not_learned_from(tmp_path):
    write_good(tmp_path / "good")
    write(tmp_path / "NOK" / "1.png", picture(50))
    text = refusal(tmp_path)
    assert "  good: 6 pictures, sounds of good parts\n  NOK: 1 picture, sounds of defects\n" in text
    assert "give the folder of good pictures alone, or put them in train/good and the others in test/<defect>" in text


def test_other_folders_in_train_are_noted(mvtec):
    write(mvtec / "train" / "bad" / "1.png", picture(70))
    assert scan_dataset(mvtec).notes == ("nothing is learned from train/bad",)


def test_pictures_in_test_itself_are_refused(mvtec):
    write(mvtec / "test" / "loose.png", picture(70))
    text = refusal(mvtec)
    assert text.startswith("pictures belong in test/good or test/<defect>, not in test:\n")
    assert "loose.png" in text


def test_missing_masks_are_all_named(mvtec):
    (mvtec / "ground_truth" / "dent" / "0_mask.png").unlink()
    (mvtec / "ground_truth" / "scratch" / "1.png").unlink()
    text = refusal(mvtec)
    assert text.startswith("2 masks are missing or wrong:\n")
    expected = mvtec / "ground_truth" / "dent" / "0_mask.png"
    assert f"{mvtec / 'test' / 'dent' / '0.png'} has no mask: expected {expected}" in text
    assert "1_mask.png" in text
    assert text.endswith("mend them, or take all masks away to measure pictures only")


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


def test_the_fingerprint_is_that_of_the_sorted_hashes_and_changes_with_a_picture(mvtec):
    dataset = scan_dataset(mvtec)
    hashes = sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in mvtec.glob("t*/*/*.png"))
    wanted = hashlib.sha256("".join(h + "\n" for h in hashes).encode()).hexdigest()
    assert fingerprint(dataset) == wanted
    write(mvtec / "train" / "good" / "5.png", picture(77))
    assert fingerprint(scan_dataset(mvtec)) != wanted
