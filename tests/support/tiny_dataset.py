"""A dataset of a few small pictures in MVTec's layout: a disc on a gradient; defects are dark scratches across it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIDE = 64


def part(seed: int, scratched: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A picture, uint8 BGR (SIDE, SIDE, 3), and where its defect is, uint8 (SIDE, SIDE)."""
    random = np.random.default_rng(seed)
    ground = np.linspace(60, 90, SIDE) + random.normal(0, 3)
    image = np.repeat(np.tile(ground, (SIDE, 1))[..., None], 3, axis=2)
    centre = tuple(int(c) for c in random.integers(30, 34, 2))
    cv2.circle(image, centre, 20, (150.0, 170.0, 180.0), -1)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if scratched:
        start = tuple(int(c) for c in random.integers(20, 44, 2))
        cv2.line(mask, start, (start[0] + 12, start[1] + 8), 255, 3)
        image[mask > 0] = (20, 20, 40)
    noisy = image + random.normal(0, 2, image.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8), mask


def write_dataset(root: Path, train: int = 12, test: int = 3, first: int = 0) -> Path:
    """`train` good pictures, and as many good and scratched ones to measure as `test` says; none for 0.

    first: the number of the first good picture; other numbers are other pictures.
    """
    numbered = [(root / "train/good", first + n, False) for n in range(train)]
    numbered += [(root / "test/good", 100 + n, False) for n in range(test)]
    numbered += [(root / "test/scratch", 200 + n, True) for n in range(test)]
    for folder, seed, scratched in numbered:
        folder.mkdir(parents=True, exist_ok=True)
        image, mask = part(seed, scratched)
        cv2.imwrite(str(folder / f"{seed:03}.png"), image)
        if scratched:
            masks = root / "ground_truth" / folder.name
            masks.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(masks / f"{seed:03}_mask.png"), mask)
    return root
