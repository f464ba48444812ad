from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pytest
from tests.support.tiny_bundle import write_bundle

from edge_build.data.dataset import scan_dataset
from edge_build.data.frame_limits import limits_of_good, limits_of_line
from edge_build.data.pictures import DatasetError, Picture
from edge_build.progress import SilentProgress
from edge_runtime.bundle.reader import Bundle, open_bundle

T = TypeVar("T")


class RecordingProgress:
    def __init__(self) -> None:
        self.output: list[str] = []

    def say(self, text: str) -> None:
        self.output.append(text)

    def track(self, what: str, items: Sequence[T]) -> Iterator[T]:
        yield from items


def write(folder: Path, sizes: list[tuple[int, int]]) -> list[Picture]:
    random, pictures = np.random.default_rng(0), []
    for number, (height, width) in enumerate(sizes):
        image = random.integers(0, 200, (height, width, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
        pictures.append(Picture(folder / f"{number}.png", "good", None, ""))
    return pictures


def test_the_limits_are_those_of_the_pictures_as_they_are_and_are_logged(tmp_path: Path) -> None:
    progress = RecordingProgress()
    limits = limits_of_good(write(tmp_path, [(64, 96)] * 3), progress)
    assert (limits.pictures, limits.height, limits.width) == (3, 64, 96)
    assert 30 < limits.brightness_low < 70  # a third of what 1 % of the pixels exceed
    assert limits.saturated_high == 0.5
    assert progress.output[0].startswith("frames: 96 x 64 pixels; at least ")


def test_pictures_of_several_sizes_set_a_range_and_it_is_logged(tmp_path: Path) -> None:
    progress = RecordingProgress()
    limits = limits_of_good(write(tmp_path, [(40, 96), (40, 80)]), progress)
    assert (limits.height, limits.width) == (None, None)
    assert (limits.sizes.height_low, limits.sizes.height_high) == (38, 42)
    assert progress.output[0].startswith(
        "frames: 76 to 100 x 38 to 42 (width / height 1.900 to 2.520) pixels; at least "
    )


def test_a_picture_that_went_away_is_named(tmp_path: Path) -> None:
    pictures = write(tmp_path, [(64, 64)] * 2)
    pictures[1].path.unlink()
    with pytest.raises(DatasetError, match=r"1\.png"):
        limits_of_good(pictures, RecordingProgress())


def part(seed: int, height: int = 96, width: int = 128, light: float = 1.0, blur: int = 0) -> np.ndarray:
    """Squares in several greys, uint8 BGR (height, width, 3)."""
    grey = np.random.default_rng(seed).integers(40, 200, (12, 16), dtype=np.uint8)
    image = cv2.resize(grey, (width, height), interpolation=cv2.INTER_NEAREST) * light
    image = cv2.GaussianBlur(image, (0, 0), blur) if blur else image
    return cv2.cvtColor(image.astype(np.uint8), cv2.COLOR_GRAY2BGR)


def scanned(folder: Path, *images: np.ndarray) -> tuple[Picture, ...]:
    folder.mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return scan_dataset(folder).good


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Its pictures were 128 x 96, sharp and bright."""
    return bundle_of(tmp_path / "bundle", scanned(tmp_path / "learned", *(part(seed) for seed in range(6))))


def bundle_of(folder: Path, learned: tuple[Picture, ...]) -> Bundle:
    limits = limits_of_good(learned, SilentProgress())
    write_bundle(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"frames": limits.model_dump()}))
    return open_bundle(folder)


def test_the_limits_are_those_of_the_new_pictures(bundle: Bundle, tmp_path: Path) -> None:
    line = scanned(tmp_path / "line", *(part(10 + seed, light=0.8) for seed in range(5)))

    limits, notes = limits_of_line(line, bundle, SilentProgress())

    assert limits == limits_of_good(line, SilentProgress())
    assert limits.pictures == 5
    assert notes == ()


@pytest.mark.parametrize(
    ("change", "codes"),
    [({"height": 192, "width": 256}, "110"), ({"light": 0.1}, "104"), ({"blur": 6}, "109")],
)
def test_another_camera_is_logged_and_its_frames_are_judged(
    bundle: Bundle, tmp_path: Path, change: dict, codes: str
) -> None:
    line = scanned(tmp_path / "line", part(9), *(part(10 + seed, **change) for seed in range(4)))

    limits, notes = limits_of_line(line[1:], bundle, SilentProgress())

    assert limits == limits_of_good(line[1:], SilentProgress())
    assert notes == (
        f"4 of 4 pictures are beyond the limits of frames of tiny-1.0 (ERROR {codes}): camera, lens or light are "
        "others now; the new limits are those of these pictures",
    )


def test_a_few_bad_pictures_are_refused_each_with_its_fault(bundle: Bundle, tmp_path: Path) -> None:
    bad = (part(10, light=0.1), part(11, blur=6))
    line = scanned(tmp_path / "line", *bad, part(12), part(13))

    with pytest.raises(DatasetError, match="2 of 4 pictures are no good pictures by the limits of frames of ") as error:
        limits_of_line(line, bundle, SilentProgress())

    assert f"{tmp_path}/line/0.png: ERROR 104, at most 1 % of the pixels are brighter than " in str(error.value)
    assert f"{tmp_path}/line/1.png: ERROR 109, the sharpness is " in str(error.value)


def test_pictures_of_another_shape_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    line = scanned(tmp_path / "line", *(part(10 + seed, height=128) for seed in range(4)))

    with pytest.raises(DatasetError, match="4 of 4 pictures have another shape than those that tiny-1") as error:
        limits_of_line(line, bundle, SilentProgress())

    assert "0.png: 128 x 128 pixels, width / height 1.000" in str(error.value)
    assert "(width / height 1.267 to 1.400)" in str(error.value)


def test_pictures_of_another_shape_than_several_sizes_are_refused(tmp_path: Path) -> None:
    sizes = [part(seed, height=96 + 12 * seed, width=128 + 16 * seed) for seed in range(4)]
    bundle = bundle_of(tmp_path / "bundle", scanned(tmp_path / "learned", *sizes))
    good = [part(10 + seed, height=108, width=144) for seed in range(3)]
    line = scanned(tmp_path / "line", *good, part(20, height=108, width=108))

    with pytest.raises(DatasetError, match=r"1 of 4 pictures have another shape than those that tiny-1\.0") as error:
        limits_of_line(line, bundle, SilentProgress())

    assert "3.png: 108 x 108 pixels" in str(error.value)
    assert "0.png" not in str(error.value)


def test_a_bundle_without_limits_gets_those_of_the_new_pictures(tmp_path: Path) -> None:
    line = scanned(tmp_path / "line", *(part(seed, height=128) for seed in range(4)))

    limits, notes = limits_of_line(line, open_bundle(write_bundle(tmp_path / "bundle")), SilentProgress())

    assert (limits.height, limits.width, notes) == (128, 128, ())
