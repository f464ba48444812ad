from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support.brightest_pixel import SIZE, THRESHOLD, BrightestPixel, blackened, evaluation_of, write_dataset

from edge_build.bundling.training_record import (
    TrainingRecord,
    training_record_of,
    with_set_on,
    write_training_record,
)
from edge_build.data.dataset import scan_test
from edge_build.data.layouts.named import NamedFolders
from edge_build.data.pictures import DatasetError
from edge_build.evaluation.summary import Summary, summarize
from edge_build.progress import SilentProgress
from edge_build.workflows.evaluate import LEARNED_FROM, WantedEngine, WantedFiles, measure_bundle, require_judged
from edge_runtime.bundle.manifest import Dataset as DatasetEntry
from edge_runtime.bundle.manifest import FileEntry, GraphEntry, Manifest, Tolerance
from edge_runtime.bundle.reader import MANIFEST, Bundle, sha256_of
from edge_runtime.engines.protocol import EngineKind
from edge_runtime.errors import BundleError, ConfigError
from edge_runtime.imaging.preprocess import PREPROCESSING
from edge_runtime.records import Precision


def make_bundle(folder: Path, training: TrainingRecord | None = None) -> Path:
    """A bundle that opens; its graph is never loaded, for the engine is a fake one."""
    folder.mkdir()
    (folder / "model.fp32.onnx").write_bytes(b"graph")
    write_training_record(folder, training or TrainingRecord())
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
        files={path.name: FileEntry(length=path.stat().st_size, sha256=sha256_of(path)) for path in folder.iterdir()},
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "parts")


def test_a_run_measures_the_test_pictures_and_writes_what_was_asked_for(root: Path, tmp_path: Path) -> None:
    bundle, engine = make_bundle(tmp_path / "bundle"), BrightestPixel()
    opened: list[Path] = []

    def open_engine(found: Bundle) -> BrightestPixel:
        opened.append(found.folder)
        return engine

    scores_file = tmp_path / "out.npz"
    page = tmp_path / "out.html"
    summary = measure_bundle(
        bundle, root, open_engine, Precision.FP32, SilentProgress(), WantedFiles(scores_file, page)
    )

    assert opened == [bundle]
    assert not engine.open
    assert summary.figures.missed_defects == 1
    assert Summary.model_validate_json(summary.model_dump_json()) == summary
    assert scores_file.is_file()
    text = page.read_text()
    assert "It found <strong>2 of 3</strong> pictures of defects." in text
    assert "It rejected <strong>1 of 3</strong> good ones." in text
    assert "Detection by kind" in text
    assert text.count("data:image/jpeg;base64,") == 12  # each picture and its map


def measured(bundle: Path, pictures: Path | NamedFolders) -> Summary:
    return measure_bundle(bundle, pictures, lambda _: BrightestPixel(), Precision.FP32, SilentProgress())


def test_a_dataset_of_good_pictures_alone_is_measured_with_a_caveat(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "test")

    summary = measured(make_bundle(tmp_path / "bundle"), root)

    assert summary.notes == (LEARNED_FROM,)
    assert (summary.figures.good, summary.figures.false_rejects, summary.figures.defect) == (4, 0, 0)


def test_a_plain_folder_is_no_test_as_nothing_says_what_it_shows(root: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")

    with pytest.raises(DatasetError) as plain:
        measured(bundle, root / "test" / "dent")
    with pytest.raises(DatasetError) as labelled:
        measured(bundle, root / "test")

    assert str(plain.value) == (
        f"nothing says which pictures in {root}/test/dent show good parts and which defects: say it, as in `--good DIR "
        "--defects DIR`, or put them in test/good and test/<defect>"
    )
    assert f"say it, as in `--good {root}/test/good --defects {root}/test/dent --defects {root}/test/scratch`" in str(
        labelled.value
    )
    assert str(labelled.value).endswith(f"or give the dataset that test belongs to, {root}")


def test_folders_that_are_named_are_measured_as_what_they_are_called(root: Path, tmp_path: Path) -> None:
    bundle, test = make_bundle(tmp_path / "bundle"), root / "test"
    (root / "ground_truth/dent/0_mask.png").rename(root / "ground_truth/dent/0_Mask.PNG")

    named = measured(bundle, NamedFolders(test / "good", (test / "dent", test / "scratch"), root / "ground_truth"))
    defects = measured(bundle, NamedFolders(defects=(test / "scratch",)))

    assert [(kind.kind, kind.pictures) for kind in named.kinds] == [("good", 3), ("dent", 1), ("scratch", 2)]
    assert (named.masked, named.figures.missed_defects, named.figures.false_rejects) == (3, 1, 1)
    assert [(kind.kind, kind.pictures, kind.nok) for kind in defects.kinds] == [("scratch", 2, 1)]
    assert defects.figures.image_auroc is None


@pytest.mark.parametrize(
    ("good", "defects", "masks", "reason"),
    [
        ("test", None, None, r"--good .*/test holds 3 pictures that sound of defects or masks:\n"),
        (None, "test", None, r"--defects .*/test holds 3 pictures in folders that sound of good parts:\n"),
        ("test/good", None, "ground_truth", r"--masks are those of --defects DIR: give both"),
        ("nowhere", None, None, r"nowhere is not a folder"),
        (None, "test/dent", "ground_truth/scratch", r"1 mask is missing or wrong:\n.*expected .*/0_mask.png"),
    ],
)
def test_folders_that_are_not_what_they_are_named_are_refused(
    root: Path, tmp_path: Path, good: str | None, defects: str | None, masks: str | None, reason: str
) -> None:
    (root / "ground_truth/scratch/0_mask.png").rename(root / "ground_truth/scratch/7_mask.png")
    named = NamedFolders(
        good and root / good,
        (root / defects,) if defects else (),
        masks and root / masks,  # type: ignore[arg-type]
    )

    with pytest.raises((DatasetError, ConfigError), match=reason):
        measured(make_bundle(tmp_path / "bundle"), named)


def test_test_pictures_that_the_bundle_knows_are_counted(root: Path, tmp_path: Path) -> None:
    dataset = scan_test(root)
    learned, set_on = training_record_of(dataset.test[:1]), dataset.test[1:3]
    bundle = make_bundle(tmp_path / "bundle", with_set_on(learned, set_on))

    summary = measured(bundle, root)

    assert summary.notes == (
        "warning: 3 of 6 test pictures are among those that parts-1 learned from or set its thresholds on, the first "
        "is test/dent/0.png: figures with them are better than what the line will see",
    )


def test_a_precision_that_the_bundle_lacks_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="has no int8 graph, only fp32"):
        measure_bundle(
            make_bundle(tmp_path / "bundle"), root, lambda _: BrightestPixel(), Precision.INT8, SilentProgress()
        )


def test_pictures_that_are_all_beyond_the_limits_are_an_error_with_a_way_out(root: Path, tmp_path: Path) -> None:
    judged = summarize(evaluation_of(root), "parts-1", Precision.FP32, root)
    refused = summarize(blackened(root, "good", "scratch", "dent"), "parts-1", Precision.FP32, root)

    require_judged(judged, tmp_path / "parts-1", root)
    with pytest.raises(DatasetError, match=r"nothing was judged: all pictures of .*/parts are beyond the limits .*"):
        require_judged(refused, tmp_path / "parts-1", root)


def test_what_the_cpu_emulates_is_not_what_it_measures_itself() -> None:
    assert not WantedEngine(EngineKind.ONNXRUNTIME).emulated
    assert WantedEngine(EngineKind.ONNXRUNTIME, Precision.INT8).emulated
    assert not WantedEngine(EngineKind.TENSORRT, Precision.INT8).emulated
