from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.brightest_pixel import SIZE, THRESHOLD, BrightestPixel

from edge_build.data.dataset import Dataset
from edge_build.evaluation.evaluate import evaluate
from edge_build.evaluation.result import Evaluation, save_scores
from edge_build.progress import SilentProgress
from edge_runtime.errors import EdgeError, StorageError
from edge_runtime.imaging.see import whole_frame_viewer
from edge_runtime.inspection.judge import Judge


def test_the_saved_scores_hold_names_labels_scores_and_half_precision_maps(
    evaluation: Evaluation, root: Path, tmp_path: Path
) -> None:
    save_scores(tmp_path / "scores.npz", evaluation, root)

    with np.load(tmp_path / "scores.npz", allow_pickle=False) as saved:
        assert set(saved) == {"path", "label", "score", "map"}
        assert "test/scratch/0.png" in saved["path"].tolist()
        assert saved["label"].dtype.kind == "U"
        assert np.array_equal(saved["score"], evaluation.scores)
        assert (saved["map"].dtype, saved["map"].shape) == (np.float16, (6, SIZE, SIZE))
        assert np.array_equal(saved["map"], evaluation.maps)  # whole numbers up to 2048 are exact in float16
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["scores.npz"]


def test_maps_beyond_half_precision_are_refused_and_nothing_is_written(dataset: Dataset, tmp_path: Path) -> None:
    evaluation = evaluate(
        Judge(BrightestPixel(1000.0), THRESHOLD, whole_frame_viewer(SIZE, SIZE)), dataset.test, SilentProgress()
    )

    with pytest.raises(EdgeError, match="a map reaches 200000, and float16 ends at 65504"):
        save_scores(tmp_path / "scores.npz", evaluation, dataset.root)
    assert not (tmp_path / "scores.npz").exists()


def test_a_file_that_cannot_be_written_is_a_storage_error_and_leaves_nothing(
    evaluation: Evaluation, root: Path, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match=r"missing/scores\.npz: No such file or directory; check the path"):
        save_scores(tmp_path / "missing" / "scores.npz", evaluation, root)
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]
