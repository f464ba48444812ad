"""What is said of suspicious good pictures, and what becomes of them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.tiny_dataset import part, write_dataset

from edge_build.acceptance.held_out import HeldOut
from edge_build.acceptance.judgement import Judgement
from edge_build.data.dataset import Dataset, scan_dataset
from edge_build.data.pictures import PreparedPictures
from edge_build.data.splits import Splits
from edge_build.progress import SilentProgress
from edge_build.screening.suspects import Suspect
from edge_build.workflows.screening import screened, threshold_without_suspects
from edge_calibration.threshold import threshold_from_good
from edge_runtime.records import Precision

COUNT, BAD = 30, (7, 21)


class Said(SilentProgress):
    """Keeps what the user is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return scan_dataset(write_dataset(tmp_path_factory.mktemp("parts"), train=COUNT, test=0))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Of the dataset's parts, of which two are scratched."""
    return np.stack([part(number, number in BAD)[0] for number in range(COUNT)])


def test_suspicious_pictures_are_named_and_kept(dataset: Dataset, images: np.ndarray) -> None:
    progress = Said()

    after, suspects = screened(dataset, images, False, 0, progress)

    (line,) = progress.lines
    assert after.good == dataset.good
    assert after.notes[-1] == line
    assert line.startswith(
        "warning: 2 of 30 good pictures do not look like the others, and are learned as good all the"
    )
    assert {suspect.picture for suspect in suspects} == {dataset.good[number] for number in BAD}
    for suspect in suspects:
        assert f"{suspect.picture.path}: {suspect.deviation:.1f} spreads" in line
        assert not suspect.left_out


def test_suspicious_pictures_are_left_out_when_that_is_asked_for_and_named_all_the_same(
    dataset: Dataset, images: np.ndarray
) -> None:
    progress = Said()

    after, suspects = screened(dataset, images, True, 0, progress)

    assert len(after.good) == COUNT - 2
    assert not {suspect.picture for suspect in suspects} & set(after.good)
    assert progress.lines[0].startswith("left out 2 of 30 good pictures that do not look like the others:")
    assert all(suspect.left_out for suspect in suspects)


def test_nothing_is_said_where_nothing_is_suspicious(dataset: Dataset) -> None:
    images = np.stack([part(number)[0] for number in range(COUNT)])

    assert screened(dataset, images, True, 0, Said()) == (dataset, ())


def judged(dataset: Dataset, scores: np.ndarray) -> tuple[Judgement, Splits]:
    """Half of the pictures set the threshold."""
    nothing = np.zeros((0, 1, 1), np.float32)
    held_out = HeldOut(scores, scores, np.zeros(0), nothing, nothing.astype(bool))
    threshold = threshold_from_good(scores, scores, 0.1, "cross-fitted")
    splits = Splits(dataset.good, (), (dataset.good[: COUNT // 2],))
    return Judgement({Precision.FP32: held_out}, {Precision.FP32: threshold}, {}, ()), splits


def suspect(dataset: Dataset, number: int, left_out: bool = False) -> Suspect:
    return Suspect(dataset.good[number], np.zeros((8, 8, 3), np.uint8), 5.0, np.zeros((2, 2), np.float32), left_out)


def test_it_is_said_what_the_threshold_would_be_without_them(dataset: Dataset) -> None:
    scores = np.arange(1.0, COUNT // 2 + 1)
    scores[3] = 40
    judgement, splits = judged(dataset, scores)

    text = threshold_without_suspects(judgement, splits, [suspect(dataset, 3), suspect(dataset, COUNT - 1)])

    assert text == ("without the 1 suspicious pictures among those that set it, the threshold would be 15, not 40")


def test_suspicious_pictures_that_were_never_scored_have_no_say_in_the_threshold(dataset: Dataset) -> None:
    judgement, splits = judged(dataset, np.arange(1.0, COUNT // 2 + 1))

    text = threshold_without_suspects(judgement, splits, [suspect(dataset, COUNT - 1)])

    assert text == "none of the suspicious pictures has a say in the threshold"


def test_nothing_is_said_of_the_threshold_without_suspects_in_it(dataset: Dataset) -> None:
    judgement, splits = judged(dataset, np.arange(1.0, COUNT // 2 + 1))

    assert threshold_without_suspects(judgement, splits, []) is None
    assert threshold_without_suspects(judgement, splits, [suspect(dataset, 3, left_out=True)]) is None


def test_prepared_pictures_without_some_keep_the_others_in_their_order(dataset: Dataset) -> None:
    class Viewer:
        height = width = 64

        def see(self, image: np.ndarray) -> object:
            return type("Sight", (), {"picture": image})

    prepared = PreparedPictures(dataset.good, Viewer(), SilentProgress())  # type: ignore[arg-type]

    fewer = prepared.without({dataset.good[0], dataset.good[5]})

    kept = [picture for number, picture in enumerate(dataset.good) if number not in (0, 5)]
    assert fewer.rows(kept) == list(range(COUNT - 2))
    np.testing.assert_array_equal(fewer.all(), prepared.of(kept))
    assert len(prepared.all()) == COUNT
