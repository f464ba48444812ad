from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.mvtec_dataset import picture, write

from edge_build.data.masks import MaskError, mask_names, mask_notes, mask_of, read_mask_file


def square(side: int = 64, white: int = 255) -> np.ndarray:
    """A defect of 16 x 16 pixels."""
    mask = np.zeros((side, side), np.uint8)
    mask[20:36, 24:40] = white
    return mask


WANTED = square() > 0


def read(path: Path, image: np.ndarray):
    write(path, image)
    return read_mask_file(path)


@pytest.mark.parametrize("white", [1, 3, 128, 255])
def test_class_numbers_and_white_are_defects(tmp_path, white):
    mask = read(tmp_path / "m.png", square(white=white))
    assert np.array_equal(mask.defect, WANTED)
    assert not mask.reading.soft
    assert list(mask_notes([mask.reading])) == []


def test_several_classes_of_one_mask_are_all_defects(tmp_path):
    classes = square(white=2)
    classes[50:54, 50:54] = 1
    assert read(tmp_path / "m.png", classes).defect.sum() == 16 * 16 + 4 * 4


def test_a_jpeg_mask_does_not_grow_and_is_reported(tmp_path):
    path = tmp_path / "m.jpg"
    path.write_bytes(cv2.imencode(".jpg", square(), [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes())
    grown = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0
    assert grown.sum() > 1.2 * WANTED.sum()  # the noise that JPEG leaves, which is no defect
    mask = read_mask_file(path)
    assert abs(int(mask.defect.sum()) - int(WANTED.sum())) <= 0.05 * WANTED.sum()
    (note,) = mask_notes([mask.reading])
    assert note.startswith("1 of 1 masks are not just black and white (JPEG or a smoothed edge leaves grey)")


def test_an_empty_jpeg_mask_is_empty(tmp_path):
    noise = np.random.default_rng(0).integers(0, 6, (64, 64), dtype=np.uint8)
    assert not read(tmp_path / "m.jpg", noise).defect.any()


def test_noise_beside_white_is_no_defect(tmp_path):
    noise = np.random.default_rng(0).integers(0, 30, (64, 64), dtype=np.uint8)
    noisy = np.where(WANTED, 255 - noise, noise).astype(np.uint8)
    assert np.array_equal(read(tmp_path / "m.png", noisy).defect, WANTED)
    few = square()
    few[0:9, 0] = 3
    assert np.array_equal(read(tmp_path / "few.png", few).defect, WANTED)


def test_an_inverted_mask_is_read_as_it_is_meant_and_named(tmp_path):
    mask = read(tmp_path / "m.png", 255 - square())
    assert np.array_equal(mask.defect, WANTED)
    assert list(mask_notes([mask.reading, read(tmp_path / "n.png", square()).reading])) == [
        f"warning: 1 of 2 masks are black on white, the first is {tmp_path / 'm.png'}: they are read inverted; save "
        "masks white on black"
    ]


def test_a_defect_that_covers_its_picture_is_no_inverted_mask(tmp_path):
    assert read(tmp_path / "all.png", np.full((64, 64), 255, np.uint8)).defect.all()
    large = square()
    large[10:, :] = 255
    assert read(tmp_path / "large.png", large).defect.sum() == (large > 0).sum()


def test_specks_are_named(tmp_path):
    specks = square()
    specks[2:18:2, 2:18:2] = 255
    (note,) = mask_notes([read(tmp_path / "m.png", specks).reading])
    assert note.startswith("warning: 1 of 1 masks have more than 20 specks of one or two pixels, the first is ")


def test_a_picture_is_no_mask(tmp_path):
    with pytest.raises(MaskError, match=r"m.png is no mask: \d+ grey values, \d+% of its pixels between"):
        read(tmp_path / "m.png", picture(1, 64, 64))


def test_several_masks_of_one_picture_are_one(tmp_path):
    other = np.zeros((64, 64), np.uint8)
    other[2:4, 2:4] = 255
    write(tmp_path / "007" / "000.png", square())
    write(tmp_path / "007" / "001.png", other)
    assert read_mask_file(tmp_path / "007").defect.sum() == 16 * 16 + 4
    write(tmp_path / "007" / "002.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(MaskError, match="have different sizes"):
        read_mask_file(tmp_path / "007")
    (tmp_path / "008").mkdir()
    with pytest.raises(MaskError, match="is a folder without masks"):
        read_mask_file(tmp_path / "008")


@pytest.mark.parametrize(
    "name", ["part-1_mask.png", "part-1_mask.PNG", "PART-1_Mask.bmp", "part-1.tif", "part-1_GT.png", "part-1_label.bmp"]
)
def test_a_mask_is_found_by_its_pictures_name(tmp_path, name):
    (tmp_path / name).touch()
    (tmp_path / "part-10_mask.png").touch()
    (tmp_path / ".part-1_mask.png").touch()
    assert mask_of("part-1", mask_names(tmp_path)) == tmp_path / name
    assert mask_of("part-2", mask_names(tmp_path)) is None
    assert mask_names(tmp_path / "none") == {}
