from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.mvtec_dataset import picture, write

from edge_build.data.dataset import scan_dataset
from edge_build.data.exclusion import exclude
from edge_build.data.pictures import DatasetError

ROOT = Path("parts")
PATHS = [ROOT / name for name in ("1.png", "2.jpg", "monday/1.png", "monday/late/3.png", "tuesday/4.png")]


@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        ("2.jpg", ["2.jpg"]),
        ("1.png", ["1.png", "monday/1.png"]),
        ("./monday/1.png", ["monday/1.png"]),
        ("monday", ["monday/1.png", "monday/late/3.png"]),
        ("monday/late/", ["monday/late/3.png"]),
        ("*.jpg", ["2.jpg"]),
        ("t*/*.png", ["tuesday/4.png"]),
        ("[34].png", ["monday/late/3.png", "tuesday/4.png"]),
    ],
)
def test_names_and_globs_leave_pictures_out(pattern, left_out):
    kept, excluded = exclude(PATHS, ROOT, [pattern])
    assert [path.relative_to(ROOT).as_posix() for path in excluded] == left_out
    assert sorted([*kept, *excluded]) == sorted(PATHS)


def test_every_pattern_that_fits_nothing_is_named():
    with pytest.raises(DatasetError) as caught:
        exclude(PATHS, ROOT, ["1.png", "9.png", "Monday"])
    assert str(caught.value).startswith("exclude: 9.png, Monday fits no good picture in parts; names there look like\n")
    assert str(caught.value).endswith("1.png\n  2.jpg\n  monday/1.png\ncorrect the pattern, or take it out")


def test_a_pattern_is_relative_to_the_good_pictures_and_what_it_leaves_out_is_said(mvtec):
    write(mvtec / "train/good/monday/7.png", picture(70))
    dataset = scan_dataset(mvtec, exclude=["3.png", "monday/*"])
    assert len(dataset.good) == 5
    assert dataset.notes == ("left out 2 good pictures, as `exclude` says:\n  3.png\n  monday/7.png",)
    with pytest.raises(DatasetError, match="exclude: dent fits no good picture"):
        scan_dataset(mvtec, exclude=["dent"])


def test_what_is_left_out_is_not_even_read(mvtec):
    (mvtec / "train/good/broken.png").write_bytes(b"no picture")
    assert len(scan_dataset(mvtec, exclude=["broken.png"]).good) == 6
