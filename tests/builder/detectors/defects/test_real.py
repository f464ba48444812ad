from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.tiny_dataset import SIDE, part, write_dataset

from edge_build.data.dataset import scan_dataset
from edge_build.detectors.defects.real import RealDefects, load_defects
from edge_build.progress import PlainProgress, SilentProgress
from edge_runtime.errors import ConfigError
from edge_runtime.imaging.see import whole_frame_viewer


def write_defects(
    root: Path, count: int = 3, first: int = 300, pictures: str = "pictures", masks: str = "masks"
) -> Path:
    """Scratched parts with masks that no dataset of `write_dataset` has."""
    for seed in range(first, first + count):
        image, mask = part(seed, scratched=True)
        for folder, name, content in ((pictures, f"{seed}.png", image), (masks, f"{seed}_mask.png", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / folder / name), content)
    return root


def load(folder: Path, dataset: Path, output: list[str] | None = None) -> RealDefects:
    progress = SilentProgress() if output is None else PlainProgress(output.append)
    return load_defects(folder, scan_dataset(dataset), whole_frame_viewer(SIDE, SIDE), progress)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "parts")


@pytest.mark.parametrize("layout", [("pictures", "masks"), ("test/scratch", "ground_truth/scratch")])
def test_pictures_are_found_with_their_masks_in_either_layout(
    tmp_path: Path, dataset: Path, layout: tuple[str, str]
) -> None:
    found = load(write_defects(tmp_path, 3, 300, *layout), dataset)

    assert len(found) == 3
    for number in range(3):
        image, mask = part(300 + number, scratched=True)
        np.testing.assert_array_equal(found.pictures[number], image)
        np.testing.assert_array_equal(found.masks[number], mask > 0)


def test_good_parts_of_any_name_are_no_defects_and_masks_are_found_in_any_case(tmp_path: Path, dataset: Path) -> None:
    write_defects(tmp_path, 2, 300, "test/scratch", "ground_truth/scratch")
    write_defects(tmp_path, 2, 400, "test/OK", "unused")
    for mask in (tmp_path / "ground_truth/scratch").iterdir():
        image = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(mask), 255 - image)
        mask.rename(mask.with_name(f"{mask.stem.removesuffix('_mask')}_Mask.PNG"))
    output: list[str] = []

    found = load(tmp_path, dataset, output)

    assert len(found) == 2
    assert any(line.startswith("cpr.defects: warning: 2 of 2 masks are black on white") for line in output)
    np.testing.assert_array_equal(found.masks[0], part(300, scratched=True)[1] > 0)


def refused(folder: Path, dataset: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, dataset)
    return str(caught.value).replace(str(folder), "defects").replace(str(dataset), "parts")


def test_what_is_learned_from_may_not_be_measured_with_nor_pass_as_good(tmp_path: Path, dataset: Path) -> None:
    write_defects(tmp_path, 1, 200)  # test/scratch/200.png, in another folder
    # the same pixels in another file
    cv2.imwrite(str(tmp_path / "pictures/good.bmp"), cv2.imread(str(dataset / "train/good/000.png")))
    cv2.imwrite(str(tmp_path / "masks/good.png"), np.full((SIDE, SIDE), 255, np.uint8))

    assert refused(tmp_path, dataset) == (
        "cpr.defects: 2 pictures of defects are also in the dataset, and what is learned must neither pass as good nor "
        "be measured with:\n"
        "  defects/pictures/200.png is the same picture as parts/test/scratch/200.png\n"
        "  defects/pictures/good.bmp is the same picture as parts/train/good/000.png\n"
        "take each out of one of the two"
    )


def test_masks_that_are_missing_or_wrong_are_named(tmp_path: Path, dataset: Path) -> None:
    write_defects(tmp_path)
    cv2.imwrite(str(tmp_path / "masks/300_mask.png"), np.zeros((SIDE, SIDE), np.uint8))
    cv2.imwrite(str(tmp_path / "masks/301_mask.png"), np.full((10, 20), 255, np.uint8))
    wrong = refused(tmp_path, dataset)
    (tmp_path / "masks/302_mask.png").unlink()

    assert wrong == (
        "cpr.defects: 2 masks are wrong:\n"
        "  defects/masks/300_mask.png is empty, but its picture has a defect\n"
        "  defects/masks/301_mask.png is 20 x 10 pixels, its picture 64 x 64"
    )
    assert refused(tmp_path, dataset) == (
        "cpr.defects: 1 pictures have no mask:\n  defects/pictures/302.png: expected defects/masks/302_mask.png"
    )


def test_a_folder_of_another_layout_is_refused(tmp_path: Path, dataset: Path) -> None:
    assert refused(tmp_path, dataset).startswith("cpr.defects: defects has neither a folder `pictures` (with `masks`")
    (tmp_path / "pictures").mkdir()
    assert "holds no pictures" in refused(tmp_path, dataset)


def test_a_defect_that_vanishes_at_the_models_size_is_left_out_with_a_word(tmp_path: Path, dataset: Path) -> None:
    write_defects(tmp_path, 2)
    tall = np.zeros((SIDE * 8, SIDE, 3), np.uint8)
    mask = np.zeros(tall.shape[:2], np.uint8)
    mask[1] = 255  # one row of 512, of which every eighth is kept
    cv2.imwrite(str(tmp_path / "pictures/tall.png"), tall)
    cv2.imwrite(str(tmp_path / "masks/tall.png"), mask)
    output: list[str] = []

    found = load(tmp_path, dataset, output)

    assert [picture.path.name for picture in found.sources] == ["300.png", "301.png"]
    assert "1 defects vanish at 64 x 64 pixels and are not learned from\n" in "".join(output)


@pytest.fixture(scope="module")
def defects() -> RealDefects:
    made = [part(seed, scratched=True) for seed in (300, 301)]
    return RealDefects((), np.stack([image for image, _ in made]), np.stack([mask > 0 for _, mask in made]))


@pytest.mark.parametrize("anywhere", [True, False])
def test_a_good_picture_gets_the_defect_inside_its_mask_on_the_part(defects: RealDefects, anywhere: bool) -> None:
    good, random, centres = part(1)[0], np.random.default_rng(0), []
    place = np.hypot(*(np.mgrid[:SIDE, :SIDE] - 32)) < 20
    for number in range(20):
        image, mask = defects.on(number % 2, good, place, random, anywhere)
        seam = cv2.dilate(mask.astype(np.uint8), np.ones((11, 11))) > 0

        assert mask.any()
        assert not (mask & ~place).any()
        np.testing.assert_array_equal(image[~seam], good[~seam])
        assert image[mask].mean() < 0.75 * good[mask].mean()  # a dark scratch
        centres.append(np.argwhere(mask).mean(0) - np.argwhere(defects.masks[number % 2]).mean(0))

    farthest = np.abs(centres).max()
    assert farthest > 8 if anywhere else farthest < 8


def test_the_same_random_numbers_give_the_same_picture(defects: RealDefects) -> None:
    first, again = (defects.on(0, part(1)[0], None, np.random.default_rng(5), True) for _ in range(2))

    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_without_a_part_to_stand_on_a_picture_stays_good(defects: RealDefects) -> None:
    image, mask = defects.on(0, part(1)[0], np.zeros((SIDE, SIDE), np.bool_), np.random.default_rng(0), True)

    assert not mask.any()
    np.testing.assert_array_equal(image, part(1)[0])
