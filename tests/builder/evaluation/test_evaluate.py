"""Evaluation with an engine whose measurements are known: the score is the picture's brightest pixel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.brightest_pixel import SIZE, THRESHOLD, BrightestPixel

from edge_build.data.dataset import Dataset
from edge_build.evaluation.evaluate import evaluate
from edge_build.evaluation.result import Evaluation
from edge_build.evaluation.summary import (
    false_rejects,
    figures,
    missed,
)
from edge_build.progress import SilentProgress
from edge_runtime.errors import EngineError
from edge_runtime.imaging.see import whole_frame_viewer
from edge_runtime.inspection.judge import Judge
from edge_runtime.records import Inspection


def names(dataset: Dataset, indices: list[int]) -> list[str]:
    return [f"{dataset.test[i].label}/{dataset.test[i].path.stem}" for i in indices]


def test_every_picture_is_measured_once_and_decided_at_the_threshold(evaluation: Evaluation, dataset: Dataset) -> None:
    found = {f"{p.label}/{p.path.stem}": s for p, s in zip(dataset.test, evaluation.scores, strict=True)}

    assert found == {
        "good/0": 101,
        "good/1": 120,
        "good/2": 160,
        "scratch/0": 200,
        "scratch/1": 140,
        "dent/0": 180,
    }
    assert names(dataset, missed(evaluation)) == ["scratch/1"]
    assert names(dataset, false_rejects(evaluation)) == ["good/2"]
    assert evaluation.maps.shape == (6, SIZE, SIZE)


def test_a_score_equal_to_the_threshold_is_ok(dataset: Dataset) -> None:
    at = THRESHOLD.model_copy(update={"score": 160.0})

    evaluation = evaluate(Judge(BrightestPixel(), at, whole_frame_viewer(SIZE, SIZE)), dataset.test, SilentProgress())

    assert figures(evaluation).false_rejects == 0


def test_latency_is_prepare_and_infer_without_the_warm_up(dataset: Dataset) -> None:
    ticks = itertools.count(step=3_000_000)
    engine = BrightestPixel()

    evaluation = evaluate(
        Judge(engine, THRESHOLD, whole_frame_viewer(SIZE, SIZE), lambda: next(ticks)), dataset.test, SilentProgress()
    )

    assert evaluation.latencies_ms.tolist() == [3.0] * 6
    assert engine.calls == 7


def test_an_engine_that_measures_nan_is_named_with_the_picture(dataset: Dataset) -> None:
    with pytest.raises(EngineError, match=r"brightest pixel on .*\.png: the detector returned NaN"):
        evaluate(
            Judge(BrightestPixel(float("nan")), THRESHOLD, whole_frame_viewer(SIZE, SIZE)),
            dataset.test,
            SilentProgress(),
        )


def test_a_map_of_another_size_is_refused(dataset: Dataset) -> None:
    class Smaller(BrightestPixel):
        def infer(self, image: NDArray[np.uint8]) -> Inspection:
            return Inspection(1.0, np.zeros((1, SIZE), np.float32))

    with pytest.raises(EngineError, match=r"gives a map \(1, 32\) for a picture \(32, 32\)"):
        evaluate(Judge(Smaller(), THRESHOLD, whole_frame_viewer(SIZE, SIZE)), dataset.test, SilentProgress())
