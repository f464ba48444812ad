from __future__ import annotations

from tests.support.mvtec_dataset import picture, refusal, write

from edge_build.data.dataset import scan_dataset
from edge_runtime.imaging.reader import read_picture


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
