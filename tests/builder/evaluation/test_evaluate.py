"""Evaluation with an engine whose measurements are known: the score is the picture's brightest pixel."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_build.data.dataset import Dataset, scan_dataset
from edge_build.evaluation.evaluate import LEARNED_FROM, evaluate, run_evaluate
from edge_build.evaluation.result import Evaluation, save_scores, write_at_once
from edge_build.evaluation.summary import (
    Summary,
    detections,
    false_rejects,
    figures,
    missed,
    outcome,
    share_interval,
    summarize,
    summary_text,
)
from edge_build.progress import SilentProgress
from edge_runtime.bundle.manifest import Dataset as DatasetEntry
from edge_runtime.bundle.manifest import FileEntry, GraphEntry, Manifest, Threshold, Tolerance
from edge_runtime.bundle.reader import MANIFEST, Bundle, sha256_of
from edge_runtime.errors import BundleError, EdgeError, EngineError, StorageError
from edge_runtime.imaging.preprocess import PREPROCESSING
from edge_runtime.inspection.judge import Judge
from edge_runtime.records import Inspection, Outcome, Precision

SIZE = 32
THRESHOLD = Threshold(
    score=150,
    score_low=140,
    score_high=None,
    map=150,
    false_reject_rate=0.01,
    false_reject_rate_guaranteed=0.05,
    false_reject_rate_low=0.001,
    false_reject_rate_high=0.2,
    pictures=19,
    method="cross-fitted",
)


class BrightestPixel:
    """An engine: the map is the blue channel times `gain`, the score its maximum."""

    name = "brightest pixel"

    def __init__(self, gain: float = 1.0) -> None:
        self.gain, self.calls, self.open = gain, 0, True

    def infer(self, image: NDArray[np.uint8]) -> Inspection:
        self.calls += 1
        anomaly_map = image[0, :, :, 0].astype(np.float32) * np.float32(self.gain)
        return Inspection(float(anomaly_map.max()), anomaly_map)

    def __enter__(self) -> BrightestPixel:
        return self

    def __exit__(self, *error: object) -> None:
        self.open = False


def write(path: Path, brightest: int, spot: tuple[int, int] = (10, 10), ground: int = 20) -> None:
    """A picture with a spot of 4 x 4 pixels; its last pixel makes files differ without changing a score."""
    image = np.full((SIZE, SIZE, 3), ground, np.uint8)
    image[spot[0] : spot[0] + 4, spot[1] : spot[1] + 4] = brightest
    image[-1, -1] = sum(path.as_posix().encode()) % 19
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Good: 100, 120, 160 (a false reject). Scratches: 200, 140 (missed). One dent: 180."""
    root = tmp_path / "parts"
    for index, value in enumerate((90, 95, 100, 105)):
        write(root / "train" / "good" / f"{index}.png", value)
    for index, value in enumerate((101, 120, 160)):
        write(root / "test" / "good" / f"{index}.png", value)
    for kind, index, value in (("scratch", 0, 200), ("scratch", 1, 140), ("dent", 0, 180)):
        write(root / "test" / kind / f"{index}.png", value)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[10:14, 10:14] = 255
        path = root / "ground_truth" / kind / f"{index}_mask.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), mask)
    return root


@pytest.fixture
def dataset(root: Path) -> Dataset:
    return scan_dataset(root)


@pytest.fixture
def evaluation(dataset: Dataset) -> Evaluation:
    return evaluate(Judge(BrightestPixel(), THRESHOLD, SIZE, SIZE), dataset.test, SilentProgress())


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


def test_figures_count_misses_and_false_rejects(evaluation: Evaluation) -> None:
    found = figures(evaluation)

    assert (found.good, found.defect, found.false_rejects, found.missed_defects) == (3, 3, 1, 1)
    assert found.image_auroc == pytest.approx(8 / 9, abs=1e-12)  # one of nine pairs is in the wrong order
    assert found.pixel_auroc is not None
    assert 0.99 < found.pixel_auroc < 1


def test_what_a_build_says_of_the_test_pictures_warns_when_most_defects_pass(evaluation: Evaluation) -> None:
    measured = figures(evaluation)

    few = outcome(measured.model_copy(update={"defect": 10, "missed_defects": 6, "false_rejects": 1, "good": 20}), 0)
    enough = outcome(measured.model_copy(update={"defect": 10, "missed_defects": 5, "false_rejects": 0, "good": 20}), 0)
    refused = outcome(measured.model_copy(update={"defect": 9, "missed_defects": 0, "good": 20}), 12)

    assert few.startswith(
        "on the test pictures 6 of 10 defects pass as OK, and 1 of 20 good parts are rejected\nmost defects "
    )
    assert enough == "on the test pictures 5 of 10 defects pass as OK, and 0 of 20 good parts are rejected"
    assert refused.startswith("warning: 12 of 29 test pictures are beyond the limits of frames; a line answers ERROR")


def test_a_score_equal_to_the_threshold_is_ok(dataset: Dataset) -> None:
    at = THRESHOLD.model_copy(update={"score": 160.0})

    evaluation = evaluate(Judge(BrightestPixel(), at, SIZE, SIZE), dataset.test, SilentProgress())

    assert figures(evaluation).false_rejects == 0


def test_detection_is_told_by_kind_with_good_first(evaluation: Evaluation) -> None:
    kinds = detections(evaluation)

    assert [(k.kind, k.pictures, k.nok) for k in kinds] == [("good", 3, 1), ("dent", 1, 1), ("scratch", 2, 1)]
    assert kinds[2].median_score == 170
    assert kinds[2].nok_share_low < 0.5 < kinds[2].nok_share_high


def test_latency_is_prepare_and_infer_without_the_warm_up(dataset: Dataset) -> None:
    ticks = itertools.count(step=3_000_000)
    engine = BrightestPixel()

    evaluation = evaluate(Judge(engine, THRESHOLD, SIZE, SIZE, lambda: next(ticks)), dataset.test, SilentProgress())

    assert evaluation.latencies_ms.tolist() == [3.0] * 6
    assert engine.calls == 7


def test_a_black_picture_is_an_error_as_on_the_line_and_not_a_missed_defect(root: Path) -> None:
    cv2.imwrite(str(root / "test" / "scratch" / "0.png"), np.zeros((SIZE, SIZE, 3), np.uint8))
    dataset = scan_dataset(root)

    evaluation = evaluate(Judge(BrightestPixel(), THRESHOLD, SIZE, SIZE), dataset.test, SilentProgress())

    assert evaluation.outcomes.count(Outcome.ERROR) == 1
    summary = summarize(evaluation, "parts-1", Precision.FP32, root)
    assert summary.errors == ("test/scratch/0.png",)
    assert summary.missed == ("test/scratch/1.png",)


def blackened(root: Path, *kinds: str) -> Evaluation:
    """All test pictures of these kinds are black, each in its own way."""
    for number, path in enumerate(path for kind in kinds for path in sorted((root / "test" / kind).iterdir())):
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        image[0, number] = 1
        cv2.imwrite(str(path), image)
    return evaluate(Judge(BrightestPixel(), THRESHOLD, SIZE, SIZE), scan_dataset(root).test, SilentProgress())


def test_shares_are_of_the_judged_pictures_and_the_warning_comes_first(root: Path) -> None:
    summary = summarize(blackened(root, "scratch"), "parts-1", Precision.FP32, root)

    scratch = next(kind for kind in summary.kinds if kind.kind == "scratch")
    assert (scratch.pictures, scratch.judged, scratch.nok, scratch.errors) == (2, 0, 0, 2)
    assert (scratch.nok_share_low, scratch.nok_share_high) == (0, 1)
    assert (summary.judged_good, summary.judged_defect, summary.nothing_judged) == (3, 1, False)
    (why,) = summary.not_judged
    assert (why.code, why.pictures, why.first) == (104, 2, "test/scratch/0.png")
    text = summary_text(summary)
    assert text.splitlines()[2].startswith("  WARNING: 2 of 6 pictures are NOT JUDGED.")
    assert "2 x ERROR 104, the first is test/scratch/0.png:\n    at most 1 % of the pixels are brighter than 0" in text
    assert "3 good, 3 defect (2 of them not judged; metrics are of all)" in text
    assert "scratch     0 of    0 NOK      2 ERROR   none was judged" in text
    assert "dent        1 of    1 NOK      0 ERROR   95 % interval" in text


def test_a_good_part_that_is_not_judged_is_no_good_part_that_passes(root: Path) -> None:
    (good, *_) = detections(blackened(root, "good"))

    assert (good.pictures, good.judged, good.errors) == (3, 0, 3)


def test_when_nothing_at_all_was_judged_it_is_said_in_words(root: Path) -> None:
    summary = summarize(blackened(root, "good", "scratch", "dent"), "parts-1", Precision.FP32, root)

    assert summary.nothing_judged
    assert "  NOTHING WAS JUDGED: all 6 pictures are beyond the bundle's limits" in summary_text(summary)


def test_an_engine_that_measures_nan_is_named_with_the_picture(dataset: Dataset) -> None:
    with pytest.raises(EngineError, match=r"brightest pixel on .*\.png: the detector returned NaN"):
        evaluate(Judge(BrightestPixel(float("nan")), THRESHOLD, SIZE, SIZE), dataset.test, SilentProgress())


def test_a_map_of_another_size_is_refused(dataset: Dataset) -> None:
    class Smaller(BrightestPixel):
        def infer(self, image: NDArray[np.uint8]) -> Inspection:
            return Inspection(1.0, np.zeros((1, SIZE), np.float32))

    with pytest.raises(EngineError, match=r"gives a map \(1, 32\) for a picture \(32, 32\)"):
        evaluate(Judge(Smaller(), THRESHOLD, SIZE, SIZE), dataset.test, SilentProgress())


def test_no_pictures_give_an_evaluation_without_figures(root: Path) -> None:
    evaluation = evaluate(Judge(BrightestPixel(), THRESHOLD, SIZE, SIZE), (), SilentProgress())

    summary = summarize(evaluation, "parts-1", Precision.FP32, root)
    assert summary.figures.image_auroc is None
    assert summary.latency is None
    assert "image AUROC" in summary_text(summary)


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
    evaluation = evaluate(Judge(BrightestPixel(1000.0), THRESHOLD, SIZE, SIZE), dataset.test, SilentProgress())

    with pytest.raises(EdgeError, match="a map reaches 200000, and float16 ends at 65504"):
        save_scores(tmp_path / "scores.npz", evaluation, dataset.root)
    assert not (tmp_path / "scores.npz").exists()


def test_a_file_that_cannot_be_written_is_a_storage_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file or directory; check the folder"):
        write_at_once(tmp_path / "missing" / "file", b"text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write_at_once(tmp_path / "folder", b"text")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson() -> None:
    assert share_interval(0, 0) == (0.0, 1.0)
    assert share_interval(0, 10) == (0.0, pytest.approx(0.3085, abs=5e-5))  # as tabulated
    assert share_interval(5, 10) == (pytest.approx(0.1871, abs=5e-5), pytest.approx(0.8129, abs=5e-5))
    assert share_interval(10, 10) == (pytest.approx(0.6915, abs=5e-5), 1.0)


def make_bundle(folder: Path) -> Path:
    """A bundle that opens; its graph is never loaded, for the engine is a fake one."""
    folder.mkdir()
    (folder / "model.fp32.onnx").write_bytes(b"graph")
    manifest = Manifest(
        schema_version=1,
        name="parts",
        version="1",
        detector="brightest",
        backbone="none",
        height=SIZE,
        width=SIZE,
        preprocessing=PREPROCESSING,
        graphs={Precision.FP32: GraphEntry(file="model.fp32.onnx", threshold=THRESHOLD)},
        golden=(),
        tolerance=Tolerance(score=0.01, map=0.01),
        dataset=DatasetEntry(
            name="parts", fingerprint="0" * 64, train=4, calibration=0, threshold=19, test_good=3, test_defect=3
        ),
        figures={},
        recipe="",
        seed=0,
        builder="tests",
        files={"model.fp32.onnx": FileEntry(length=5, sha256=sha256_of(folder / "model.fp32.onnx"))},
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return folder


def test_a_run_measures_the_test_pictures_and_writes_what_was_asked_for(root: Path, tmp_path: Path) -> None:
    bundle, engine = make_bundle(tmp_path / "bundle"), BrightestPixel()
    opened: list[Path] = []

    def open_engine(found: Bundle) -> BrightestPixel:
        opened.append(found.folder)
        return engine

    json_file, scores_file = tmp_path / "out.json", tmp_path / "out.npz"
    summary = run_evaluate(bundle, root, open_engine, Precision.FP32, SilentProgress(), json_file, scores_file)

    assert opened == [bundle]
    assert not engine.open
    assert summary.figures.missed_defects == 1
    assert Summary.model_validate_json(json_file.read_text()) == summary
    assert scores_file.is_file()


def test_a_folder_of_good_pictures_alone_is_measured_with_a_caveat(root: Path, tmp_path: Path) -> None:
    summary = run_evaluate(
        make_bundle(tmp_path / "bundle"),
        root / "train" / "good",
        lambda _: BrightestPixel(),
        Precision.FP32,
        SilentProgress(),
    )

    assert summary.notes == (LEARNED_FROM,)
    assert (summary.figures.good, summary.figures.false_rejects, summary.figures.defect) == (4, 0, 0)


def test_a_precision_that_the_bundle_lacks_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="has no int8 graph, only fp32"):
        run_evaluate(
            make_bundle(tmp_path / "bundle"), root, lambda _: BrightestPixel(), Precision.INT8, SilentProgress()
        )


def test_the_summary_reads_well_on_a_terminal(evaluation: Evaluation, root: Path) -> None:
    text = summary_text(summarize(evaluation, "parts-1", Precision.FP32, root, ("A note.",)))

    assert "parts-1 fp32 on parts, brightest pixel" in text
    assert "image AUROC  88.89%   3 good, 3 defect" in text
    assert "scratch     1 of    2 NOK      0 ERROR   95 % interval 1.3% to 98.7%" in text
    assert "missed: test/scratch/1.png" in text
    assert "false rejects: test/good/2.png" in text
    assert "A note." in text
    assert max(map(len, text.splitlines())) <= 100
