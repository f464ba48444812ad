"""Folders without a layout: never are defects or masks learned from as good in silence."""

from __future__ import annotations

import pytest
from tests.support.mvtec_dataset import picture, refusal, write, write_good, write_mask

from edge_build.data.dataset import scan_dataset

CHOICE = (
    "give the folder of good pictures alone, or put them in train/good and the others in test/<defect>; if all of "
    "them show good parts, say so: `all_good: true` in the recipe, `edge-build init --all-good`"
)


@pytest.mark.parametrize(
    "names",
    [
        "normal abnormal mask",
        "good crack mask",
        "good reject -",
        "gut schlecht -",
        "OK Ausschuss -",
        "good defect_scratch -",
        "good colour -",
        "pass others -",
    ],
)
def test_folders_beside_one_of_good_parts_are_refused_with_their_counts(tmp_path, names):
    good, other, masks = names.split()
    write_good(tmp_path / good)
    for n in range(3):
        write(tmp_path / other / f"{n}.png", picture(50 + n))
        if masks != "-":
            write_mask(tmp_path / masks / f"{n}.png")
    text = refusal(tmp_path)
    assert text.startswith(
        f"{tmp_path} is taken as a folder of good pictures, but not all of its folders sound of good parts:\n"
    )
    assert f"  {good}: 6 pictures, sounds of good parts\n" in text
    assert f"  {other}: 3 pictures" in text
    assert masks == "-" or f"  {masks}: 3 pictures, sounds of masks\n" in text
    assert text.endswith(CHOICE)
    assert len(scan_dataset(tmp_path, exclude=[other, *([masks] if masks != "-" else [])]).good) == 6
    assert len(scan_dataset(tmp_path / good).good) == 6


def test_pictures_beside_a_folder_of_good_ones_are_refused(tmp_path):
    write_good(tmp_path / "good")
    write(tmp_path / "1.png", picture(50))
    assert "  beside the folders: 1 picture\n" in refusal(tmp_path)


def test_a_defect_anywhere_below_is_found(tmp_path):
    write_good(tmp_path / "line1" / "good")
    write(tmp_path / "line2" / "good" / "scratched" / "1.png", picture(50))
    assert "  line2/good/scratched: 1 picture, sounds of defects\n" in refusal(tmp_path)


def test_folders_that_all_sound_good_or_all_say_nothing_are_learned_from_and_counted(tmp_path):
    write_good(tmp_path / "lines" / "1" / "good")
    write(tmp_path / "lines" / "2" / "OK" / "1.png", picture(50))
    assert len(scan_dataset(tmp_path / "lines").good) == 7
    write_good(tmp_path / "days" / "monday")
    write(tmp_path / "days" / "tuesday" / "1.png", picture(50))
    assert scan_dataset(tmp_path / "days").notes == ("good pictures by folder: 6 in monday, 1 in tuesday",)


def test_the_test_folder_of_a_dataset_is_refused(mvtec):
    (mvtec / "test" / "dent").rename(mvtec / "test" / "kind1")
    assert refusal(mvtec / "test") == (
        f"{mvtec}/test is called like a dataset's test pictures, which hold defects, and would be learned from as "
        f"good: {CHOICE}"
    )
    for n in range(2, 5):
        write(mvtec / "test" / "kind1" / f"{n}.png", picture(400 + n))
    assert refusal(mvtec / "test" / "kind1").startswith(
        f"{mvtec}/test/kind1 is one of the test folders of {mvtec}, and would be learned from as good: "
    )


@pytest.mark.parametrize(
    ("name", "sound"), [("NOK", "defects"), ("masks", "masks"), ("ground_truth", "masks"), ("crack", "defects")]
)
def test_a_folder_is_refused_by_its_own_name(tmp_path, name, sound):
    write_good(tmp_path / name)
    assert refusal(tmp_path / name).startswith(f"{tmp_path / name} sounds of {sound}, and would be learned from")
    assert len(scan_dataset(tmp_path / name, all_good=True).good) == 6


def test_a_longer_name_with_such_a_word_is_a_name_to_find_it_by(tmp_path):
    write_good(tmp_path / "lids before scratch treatment")
    assert len(scan_dataset(tmp_path / "lids before scratch treatment").good) == 6


def test_masks_beside_pictures_without_folders_are_no_good_parts(tmp_path):
    write_good(tmp_path)
    write_mask(tmp_path / "0_mask.png")
    text = refusal(tmp_path)
    assert text.startswith(f"5 of 6 pictures in {tmp_path} have no mask beside them, as the others have")


def test_datasets_in_one_folder_are_refused(mvtec):
    text = refusal(mvtec.parent)
    assert "has folders called ground_truth, test, train in it, like one dataset or several" in text


def test_the_flag_takes_everything_and_says_so(tmp_path):
    write_good(tmp_path / "good")
    write(tmp_path / "crack_free_and_more" / "1.png", picture(50))
    write(tmp_path / "good" / "0_mask.png", picture(60))
    dataset = scan_dataset(tmp_path, all_good=True)
    assert len(dataset.good) == 8
    assert dataset.notes[0] == (
        "all_good: every picture is taken as that of a good part, whatever its folder is called"
    )
