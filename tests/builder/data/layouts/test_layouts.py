"""Every layout that is known, of tiny pictures: what is learned from, what is measured, with which masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.mvtec_dataset import picture, refusal, write, write_good, write_mask
from tests.support.tiny_bundle import write_bundle

from edge_build.data.dataset import Dataset, scan_dataset, scan_test
from edge_build.data.pictures import GOOD, DatasetError, read_mask
from edge_build.progress import SilentProgress
from edge_build.recipe.recipe import recipe_from_yaml
from edge_build.workflows.evaluate import WantedEngine, evaluate_bundle
from edge_build.workflows.init import recipe_for
from edge_runtime.engines.protocol import EngineKind


def learned(dataset: Dataset) -> list[str]:
    return [picture.path.relative_to(dataset.root).as_posix() for picture in dataset.good]


def measured(dataset: Dataset) -> list[tuple[str, str, str | None]]:
    return [
        (p.path.relative_to(dataset.root).as_posix(), p.label, p.mask and p.mask.relative_to(dataset.root).as_posix())
        for p in dataset.test
    ]


def write_btad(root: Path) -> Path:
    for n in range(4):
        write(root / f"train/ok/000{n}.bmp", picture(n))
    write(root / "test/ok/0000.bmp", picture(10))
    write(root / "test/ko/0001.bmp", picture(11))
    write_mask(root / "ground_truth/ko/0001.png")
    return root


def test_btad(tmp_path):
    dataset = scan_dataset(write_btad(tmp_path))
    assert learned(dataset) == [f"train/ok/000{n}.bmp" for n in range(4)]
    assert measured(dataset) == [
        ("test/ko/0001.bmp", "ko", "ground_truth/ko/0001.png"),
        ("test/ok/0000.bmp", GOOD, None),
    ]
    assert dataset.has_masks


def write_mvtec_3d(root: Path) -> Path:
    def part(folder: str, seed: int) -> None:
        write(root / folder / "rgb/000.png", picture(seed))
        write(root / folder / "xyz/000.tiff", np.zeros((12, 16, 3), np.float32))

    for n in range(4):
        write(root / f"train/good/rgb/00{n}.png", picture(n))
        write(root / f"train/good/xyz/00{n}.tiff", np.zeros((12, 16, 3), np.float32))
    part("validation/good", 20)
    part("test/good", 10)
    write_mask(root / "test/good/gt/000.png", defect=False)
    part("test/hole", 11)
    write_mask(root / "test/hole/gt/000.png")
    return root


def test_mvtec_3d_is_read_in_colour(tmp_path):
    dataset = scan_dataset(write_mvtec_3d(tmp_path))
    assert learned(dataset) == [f"train/good/rgb/00{n}.png" for n in range(4)]
    assert measured(dataset) == [
        ("test/good/rgb/000.png", GOOD, None),
        ("test/hole/rgb/000.png", "hole", "test/hole/gt/000.png"),
    ]
    assert dataset.notes == (
        "of a 3D dataset the colour pictures (rgb) are read, and neither points (xyz) nor other folders",
        "nothing is done with validation",
    )


def test_mvtec_3d_with_a_mask_that_is_missing_is_refused(tmp_path):
    (write_mvtec_3d(tmp_path) / "test/hole/gt/000.png").unlink()
    assert f"{tmp_path}/test/hole/rgb/000.png has no mask: expected {tmp_path}/test/hole/gt/000_mask.png" in refusal(
        tmp_path
    )


def test_mvtec_loco_has_a_folder_of_masks_for_each_picture(tmp_path):
    write_good(tmp_path / "train/good")
    write(tmp_path / "test/logical_anomalies/000.png", picture(10))
    write_mask(tmp_path / "ground_truth/logical_anomalies/000/000.png")
    other = np.zeros((12, 16), np.uint8)
    other[10, 12] = 254
    write(tmp_path / "ground_truth/logical_anomalies/000/001.png", other)
    dataset = scan_dataset(tmp_path)
    mask = read_mask(dataset.test[0], 12, 16)
    assert mask is not None
    assert mask.sum() == 2 * 6 + 1


def test_mvtec_ad_2_keeps_its_masks_in_test_public(tmp_path):
    write_good(tmp_path / "train/good")
    write(tmp_path / "test_public/good/000_regular.png", picture(10))
    write(tmp_path / "test_public/bad/000_regular.png", picture(11))
    write_mask(tmp_path / "test_public/ground_truth/bad/000_regular_mask.png")
    write(tmp_path / "test_private/000.png", picture(12))
    assert measured(scan_dataset(tmp_path)) == [
        ("test_public/bad/000_regular.png", "bad", "test_public/ground_truth/bad/000_regular_mask.png"),
        ("test_public/good/000_regular.png", GOOD, None),
    ]


@pytest.mark.parametrize("name", ["ok", "OK", "normal", "gut"])
def test_good_parts_in_test_are_good_by_any_name(mvtec, name):
    (mvtec / "test/good").rename(mvtec / "test" / name)
    (mvtec / "train/good").rename(mvtec / "train" / name)
    dataset = scan_dataset(mvtec)
    assert len(dataset.good) == 6
    assert sum(each.label == GOOD for each in dataset.test) == 2


def test_masks_beside_test_pictures_are_masks(mvtec):
    for place in (mvtec / "ground_truth").rglob("*.png"):
        name = f"{place.stem.removesuffix('_mask')}_Mask.PNG"
        place.rename(mvtec / "test" / place.parent.name / name)
    dataset = scan_dataset(mvtec)
    assert dataset.has_masks
    assert measured(dataset)[0] == ("test/dent/0.png", "dent", "test/dent/0_Mask.PNG")


def test_defects_within_the_folder_of_good_parts_are_refused(mvtec):
    write(mvtec / "train/good/scratched/1.png", picture(70))
    text = refusal(mvtec)
    assert text.startswith(f"{mvtec}/train/good holds 1 pictures in folders that sound of defects or masks")
    assert "train/good/scratched/1.png" in text


def test_two_places_of_masks_are_refused(mvtec):
    write_mask(mvtec / "test/ground_truth/dent/0.png")
    assert "test/ground_truth sounds of masks, and " in refusal(mvtec)


def write_visa(root: Path) -> Path:
    product = root / "candle"
    for n in range(6):
        write(product / f"Data/Images/Normal/000{n}.JPG", picture(n))
    write(product / "Data/Images/Anomaly/000.JPG", picture(10))
    mask = np.zeros((12, 16), np.uint8)
    mask[2:4, 3:9] = 1
    write(product / "Data/Masks/Anomaly/000.png", mask)
    return product


def test_visa_without_a_split_learns_from_every_normal_picture(tmp_path):
    dataset = scan_dataset(write_visa(tmp_path))
    assert len(dataset.good) == 6
    assert measured(dataset) == [("Data/Images/Anomaly/000.JPG", "Anomaly", "Data/Masks/Anomaly/000.png")]
    assert read_mask(dataset.test[0], 12, 16).sum() == 12
    assert dataset.notes == (
        "no split_csv/1cls.csv beside the product: all of Normal is learned from, and no good part is measured",
    )


def test_visa_is_split_as_its_authors_say(tmp_path):
    product, split = write_visa(tmp_path), tmp_path / "split_csv/1cls.csv"
    split.parent.mkdir()
    split.write_text(
        "object,split,label,image,mask\n"
        "candle,train,normal,candle/Data/Images/Normal/0000.JPG,\n"
        "candle,test,normal,candle/Data/Images/Normal/0005.JPG,\n"
        "capsules,test,normal,capsules/Data/Images/Normal/0001.JPG,\n"
        "candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png\n"
    )
    dataset = scan_dataset(product)
    assert [path[-8:] for path in learned(dataset)] == [f"000{n}.JPG" for n in range(5)]
    assert [(name[-8:], label) for name, label, _ in measured(dataset)] == [("0005.JPG", GOOD), ("/000.JPG", "Anomaly")]
    assert dataset.notes == (f"1 good pictures are for measuring, as {split} says",)
    split.write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match=r"1cls.csv cannot be read .* columns object, split, label and image"):
        scan_dataset(product)


def test_all_of_visa_is_several_products(tmp_path):
    write_visa(tmp_path)
    assert "has folders called Data, Images in it, like one dataset or several: give the one to learn from" in refusal(
        tmp_path
    )


def write_kolektor_2(root: Path) -> Path:
    for n in range(5):
        write(root / f"train/1000{n}.png", picture(n))
        write_mask(root / f"train/1000{n}_GT.png", defect=n == 4)
        write(root / f"test/2000{n}.png", picture(20 + n))
        write_mask(root / f"test/2000{n}_GT.png", defect=n == 0)
    return root


def test_kolektor_sdd2(tmp_path):
    dataset = scan_dataset(write_kolektor_2(tmp_path))
    assert learned(dataset) == [f"train/1000{n}.png" for n in range(4)]
    assert measured(dataset)[:2] == [
        ("test/20000.png", "defect", "test/20000_GT.png"),
        ("test/20001.png", GOOD, None),
    ]
    assert dataset.notes == ("nothing is learned from the 1 pictures in train with a defect in their mask",)


@pytest.mark.parametrize("folder", ["train", "test"])
def test_a_picture_without_its_mask_where_good_parts_have_one_is_refused(tmp_path, folder):
    write_kolektor_2(tmp_path)
    next((tmp_path / folder).glob("*2_GT.png")).unlink()
    assert f"1 of 5 pictures in {tmp_path}/{folder} have no mask beside them, as the others have" in refusal(tmp_path)


def test_kolektor_sdd(tmp_path):
    for n in range(5):
        write(tmp_path / f"kos0{n}/Part0.jpg", picture(n))
        write_mask(tmp_path / f"kos0{n}/Part0_label.bmp", defect=n == 2)
    dataset = scan_dataset(tmp_path)
    assert learned(dataset) == [f"kos0{n}/Part0.jpg" for n in (0, 1, 3, 4)]
    assert measured(dataset) == [("kos02/Part0.jpg", "defect", "kos02/Part0_label.bmp")]
    assert dataset.notes == ("no good pictures to measure with: all of them are learned from",)


def test_dagm_has_masks_of_defects_alone(tmp_path):
    for n in range(6):
        write(tmp_path / f"Train/057{n}.PNG", picture(n))
        write(tmp_path / f"Test/000{n}.PNG", picture(20 + n))
    write_mask(tmp_path / "Train/Label/0575_label.PNG")
    write_mask(tmp_path / "Test/Label/0001_label.PNG")
    dataset = scan_dataset(tmp_path)
    assert learned(dataset) == [f"Train/057{n}.PNG" for n in range(5)]
    assert [each for each in measured(dataset) if each[1] != GOOD] == [
        ("Test/0001.PNG", "defect", "Test/Label/0001_label.PNG")
    ]


def write_mtd(root: Path) -> Path:
    for n in range(4):
        write(root / f"MT_Free/Imgs/exp1_{n}.jpg", picture(n))
        write_mask(root / f"MT_Free/Imgs/exp1_{n}.png", defect=False)
    write(root / "MT_Crack/Imgs/exp1_9.jpg", picture(9))
    write_mask(root / "MT_Crack/Imgs/exp1_9.png")
    return root


def test_mtd(tmp_path):
    dataset = scan_dataset(write_mtd(tmp_path))
    assert learned(dataset) == [f"MT_Free/Imgs/exp1_{n}.jpg" for n in range(4)]
    assert measured(dataset) == [("MT_Crack/Imgs/exp1_9.jpg", "MT_Crack", "MT_Crack/Imgs/exp1_9.png")]


def test_a_defect_in_the_mask_of_a_good_part_is_refused(tmp_path):
    write_mask(write_mtd(tmp_path) / "MT_Free/Imgs/exp1_0.png")
    assert "exp1_0.jpg is in a folder of good parts, and its mask " in refusal(tmp_path)


def test_a_defect_with_an_empty_mask_is_one_and_named(tmp_path):
    write_mask(write_mtd(tmp_path) / "MT_Crack/Imgs/exp1_9.png", defect=False)
    dataset = scan_dataset(tmp_path)
    assert measured(dataset) == [("MT_Crack/Imgs/exp1_9.jpg", "MT_Crack", None)]
    assert dataset.notes[0].startswith("warning: 1 defects have an empty mask or none, the first is ")


@pytest.mark.parametrize(
    ("write_layout", "good", "counts"),
    [
        (write_btad, 4, {"good": 1, "ko": 1}),
        (write_mvtec_3d, 4, {"good": 1, "hole": 1}),
        (write_visa, 6, {"Anomaly": 1}),
        (write_kolektor_2, 4, {"good": 4, "defect": 1}),
        (write_mtd, 4, {"MT_Crack": 1}),
    ],
    ids=["btad", "3d", "visa", "kolektor", "mtd"],
)
def test_init_build_and_evaluate_read_the_same_pictures(tmp_path, write_layout, good, counts):
    root = write_layout(tmp_path / "data")
    text = recipe_for(root)
    recipe = recipe_from_yaml(text, Path("recipe.yaml"))
    dataset = scan_dataset(recipe.dataset, None, recipe.exclude, recipe.all_good)  # what a build starts from

    assert f"#   {good} good pictures to learn from" in text
    assert len(dataset.good) == good
    assert measured(scan_test(root)) == measured(dataset)
    bundle = write_bundle(tmp_path / "bundle")
    summary = evaluate_bundle(bundle, root, WantedEngine(EngineKind.ONNXRUNTIME), SilentProgress())
    assert {kind.kind: kind.pictures for kind in summary.kinds} == counts
    assert summary.masked == sum(n for kind, n in counts.items() if kind != GOOD)
