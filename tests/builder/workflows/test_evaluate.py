from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.brightest_pixel import SIZE, THRESHOLD, BrightestPixel, blackened, evaluation_of, write_dataset

from edge_build.data.pictures import DatasetError
from edge_build.evaluation.summary import Summary, summarize
from edge_build.progress import SilentProgress
from edge_build.workflows.evaluate import LEARNED_FROM, WantedEngine, measure_bundle, require_judged
from edge_runtime.bundle.manifest import Dataset as DatasetEntry
from edge_runtime.bundle.manifest import FileEntry, GraphEntry, Manifest, Tolerance
from edge_runtime.bundle.reader import MANIFEST, Bundle, sha256_of
from edge_runtime.engines.protocol import EngineKind
from edge_runtime.errors import BundleError
from edge_runtime.imaging.preprocess import PREPROCESSING
from edge_runtime.records import Precision


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
    summary = measure_bundle(bundle, root, open_engine, Precision.FP32, SilentProgress(), scores_file)

    assert opened == [bundle]
    assert not engine.open
    assert summary.figures.missed_defects == 1
    assert Summary.model_validate_json(summary.model_dump_json()) == summary
    assert scores_file.is_file()


def test_a_folder_of_good_pictures_alone_is_measured_with_a_caveat(root: Path, tmp_path: Path) -> None:
    summary = measure_bundle(
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
