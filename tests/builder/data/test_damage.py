"""Files that decode and have lost a part of their data: each is made whole, and then damaged as disks and copies do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.support.mvtec_dataset import refusal, write
from tests.support.tiny_dataset import part

from edge_build.data.damage import damage_of, looks_like_mask, lost_ones, lost_share
from edge_build.data.dataset import scan_dataset


def scene(seed: int) -> np.ndarray:
    return cv2.resize(part(seed)[0], (256, 256), interpolation=cv2.INTER_CUBIC)


def encoded(suffix: str, seed: int = 0) -> bytes:
    return cv2.imencode(suffix, scene(seed))[1].tobytes()


def test_a_whole_jpeg_has_no_damage_and_other_files_are_not_judged():
    assert damage_of(encoded(".jpg")) is None
    assert damage_of(encoded(".png")) is None


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_jpeg_with_zeros_instead_of_its_rest_is_damaged(share):
    data = encoded(".jpg")
    cut = int(share * len(data))
    assert damage_of(data[:cut] + bytes(len(data) - cut - 2) + data[-2:]) is not None


def test_a_jpeg_that_ends_early_is_damaged_although_it_has_an_end():
    data = encoded(".jpg")
    assert damage_of(data[: len(data) // 2] + b"\xff\xd9") is not None


def test_padding_before_a_jpegs_end_is_no_damage():
    data = encoded(".jpg")
    assert damage_of(data[:-2] + bytes(16) + data[-2:]) is None


def test_damaged_good_pictures_are_named_and_not_learned_from(tmp_path):
    for n in range(8):
        write(tmp_path / f"{n}.bmp", scene(n))
    data = bytearray((tmp_path / "3.bmp").read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (tmp_path / "3.bmp").write_bytes(data)
    whole = encoded(".jpg", 9)
    (tmp_path / "9.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    dataset = scan_dataset(tmp_path)
    assert [picture.path.name for picture in dataset.good] == [f"{n}.bmp" for n in (0, 1, 2, 4, 5, 6, 7)]
    (note,) = dataset.notes
    assert note.startswith("warning: left out 2 good pictures that are damaged:\n")
    assert f"{tmp_path}/3.bmp: 50% of its rows, in one piece, hold no data\n" in note
    assert f"{tmp_path}/9.jpg: " in note


def test_rows_that_most_pictures_have_are_what_the_camera_sees(tmp_path):
    for n in range(8):
        image = scene(n)
        image[200:] = 0
        write(tmp_path / f"{n}.bmp", image)
    assert len(scan_dataset(tmp_path).good) == 8


def test_lost_rows_are_measured_in_one_piece():
    image = scene(0)
    assert lost_share(image) == 0
    image[64:128] = 0
    image[200:210] = 128
    assert lost_share(image) == 0.25
    assert lost_ones([0, 0, 0, 0.25]) == [False, False, False, True]
    assert lost_ones([0.25, 0.25, 0.25, 0]) == [False] * 4
    assert lost_ones([0.25]) == [True]


def test_masks_as_good_pictures_are_refused_by_what_they_look_like(tmp_path):
    for n in range(6):
        write(tmp_path / f"{n}.png", scene(n))
        write(tmp_path / f"{n + 10}.jpg", cv2.resize(part(n, scratched=True)[1], (256, 256)))
    text = refusal(tmp_path)
    assert text.startswith(f"6 of 12 good pictures in {tmp_path} are nothing but black and white, as masks are:\n")
    assert "10.jpg" in text
    assert text.endswith(
        "take them out, or name them in `exclude`; if they do show good parts, say so: `all_good: true` in the recipe, "
        "`edge-build init --all-good`"
    )
    assert len(scan_dataset(tmp_path, exclude=["1?.jpg"]).good) == 6
    assert len(scan_dataset(tmp_path, all_good=True).good) == 12
    assert not looks_like_mask(scene(0))


def test_damaged_test_pictures_are_measured_and_named(mvtec):
    data = bytearray(cv2.imencode(".bmp", scene(1))[1].tobytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (mvtec / "test/good/9.bmp").write_bytes(data)
    dataset = scan_dataset(mvtec)
    assert len(dataset.test) == 7
    assert dataset.notes[0].startswith("warning: 1 test pictures are damaged, and are measured:\n")
