"""A dataset in MVTec's layout, of tiny pictures that all differ."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_build.data.dataset import scan_dataset
from edge_build.data.pictures import DatasetError


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


def write_mvtec(tmp_path):
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
