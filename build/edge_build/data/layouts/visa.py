"""VisA's layout: `Data/Images/Normal`, `Data/Images/Anomaly`, `Data/Masks/Anomaly`, for each product.

Which normal pictures are for measuring stands in `split_csv/1cls.csv` beside the products, where it was kept;
without it all of them are learned from. (Prepared as its authors' script does it, VisA is in MVTec's layout.)
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from edge_build.data.folder_names import Sound, sound_of
from edge_build.data.layouts.found import Found, child, good_picture, subfolders
from edge_build.data.masks import mask_names, mask_of
from edge_build.data.pictures import GOOD, DatasetError, Picture
from edge_runtime.imaging.reader import list_pictures

SPLIT = Path("split_csv/1cls.csv")


def find_visa(root: Path) -> Found | None:
    """The pictures of a product in this layout; None where the folders are other ones. Raises DatasetError."""
    data = child(root, "data") or root
    images = child(data, "images")
    if images is None:
        return None
    good = [folder for folder in subfolders(images) if sound_of(folder.name) is Sound.GOOD]
    bad = [folder for folder in subfolders(images) if folder not in good]
    if len(good) != 1:
        return None
    masks = child(data, "masks", "mask", "ground_truth")
    normal = list_pictures(good[0], recursive=True)
    for_test, split = _test_names(root)
    test = [Picture(path, GOOD, None, "") for path in normal if path.name in for_test]
    missing: list[str] = []
    for folder in bad:
        names = mask_names(masks / folder.name) if masks is not None else {}
        for path in list_pictures(folder, recursive=True):
            test.append(Picture(path, folder.name, mask_of(path.stem, names), ""))
            if masks is not None and test[-1].mask is None:
                missing.append(f"{path} has no mask: expected {masks / folder.name / path.stem}.png")
    notes = (
        [f"{len(for_test)} good pictures are for measuring, as {split} says"]
        if split
        else [f"no {SPLIT} beside the product: all of {good[0].name} is learned from, and no good part is measured"]
    )
    return Found(
        "folders Images and Masks, as VisA has them",
        tuple(good_picture(path) for path in normal if path.name not in for_test),
        tuple(test),
        good[0],
        (images,),
        tuple(missing),
        tuple(notes),
    )


def _test_names(root: Path) -> tuple[set[str], Path | None]:
    """The names of the normal pictures of this product that are for measuring, and the file that says so."""
    product = root.resolve()
    split = next((path for path in (product.parent / SPLIT, product / SPLIT) if path.is_file()), None)
    if split is None:
        return set(), None
    try:
        rows = list(csv.DictReader(io.StringIO(split.read_text(encoding="utf-8-sig"))))
        names = {
            Path(row["image"]).name
            for row in rows
            if row["object"] == product.name and row["split"] == "test" and sound_of(row["label"]) is Sound.GOOD
        }
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise DatasetError(
            f"{split} cannot be read ({error}): columns object, split, label and image are expected; mend it, or take "
            "it away to learn from all normal pictures"
        ) from error
    return names, split
