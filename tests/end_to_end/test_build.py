"""`edge-build init`, `build`, `calibrate` and `evaluate` as processes, on a dataset of a few small pictures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.build_stage import (
    ONLY_FP32,
    Made,
    assert_compilable,
    edge_build,
    left_in,
    needs_compiler,
    write_recipe,
)
from tests.support.tiny_dataset import SIDE, part, write_dataset

from edge_build.graphs.emulated_engine import emulated_engine
from edge_calibration.int8_plan import Int8Plan
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.engines.golden import replay_golden
from edge_runtime.records import Precision


def test_a_bundle_has_its_files_and_opens(made: Made) -> None:
    files = {p.relative_to(made.bundle).as_posix() for p in made.bundle.rglob("*") if p.is_file()}
    view = open_bundle(made.bundle).manifest.view  # `init` proposed it

    assert files == {
        *(() if view is None else view.files),
        "manifest.json", "model.fp32.onnx", "model.fp16.onnx", "model.int8.onnx", "report.html", "learned.json",
        "held_out.json",
        "calibration/pictures.json", "calibration/int8.json", "calibration/entropy2.cache", "calibration/minmax.cache",
        *(f"golden/{n}{kind}" for n in ("00", "01") for kind in (".png", ".npy", ".fp16.npy", ".int8.npy")),
    }  # fmt: skip
    assert left_in(made.bundle.parent) == ["parts-1"]


def test_the_manifest_says_what_was_learned_from_and_how_good_it_is(made: Made) -> None:
    manifest = open_bundle(made.bundle).manifest
    record, figures = manifest.dataset, manifest.figures[Precision.FP32]

    assert (manifest.name, manifest.version, manifest.detector) == ("parts", "1", "patchcore")
    assert (manifest.height, manifest.width, manifest.seed) == (SIDE, SIDE, 0)
    assert manifest.recipe == made.recipe.read_text()
    assert (record.train, record.calibration, record.threshold, record.test_good, record.test_defect) == (
        12,
        1,
        11,
        3,
        3,
    )
    assert (figures.good, figures.defect, figures.image_auroc) == (3, 3, 1.0)
    assert figures.pixel_auroc > 0.9
    assert "torch 2." in manifest.builder
    # the negative, which is golden picture 1, is no good part
    assert manifest.golden[1].score > manifest.graphs[Precision.FP32].threshold.score > manifest.golden[0].score


def test_every_precision_has_its_own_threshold_golden_values_and_figures(made: Made) -> None:
    bundle = open_bundle(made.bundle)
    for precision in (Precision.FP16, Precision.INT8):
        entry, figures = bundle.manifest.graphs[precision], bundle.manifest.figures[precision]
        assert entry.threshold.score != bundle.threshold(Precision.FP32).score
        assert entry.threshold.pictures == 11
        assert entry.gate is not None
        assert entry.gate.changed_share is not None
        assert entry.gate.changed_share <= 0.01
        assert entry.gate.pictures > 40  # 11 good ones, and up to four with a defect of each
        assert (figures.good, figures.defect) == (3, 3)
        with emulated_engine(bundle.graph(precision), threads=1) as engine:
            assert replay_golden(bundle, engine, precision) < 0.01  # onnxruntime alone sums in another order
    assert (made.bundle / "model.fp16.onnx").stat().st_size < 0.6 * (made.bundle / "model.fp32.onnx").stat().st_size


def test_a_bundle_names_what_int8_was_calibrated_on_and_what_it_left_alone(made: Made) -> None:
    pictures = json.loads((made.bundle / "calibration/pictures.json").read_text())["pictures"]
    plan = json.loads((made.bundle / "calibration/int8.json").read_text())
    (picture,) = pictures
    content = (made.dataset / picture["path"]).read_bytes()

    assert hashlib.sha256(content).hexdigest() == picture["sha256"]
    assert picture["path"].startswith("train/good/")
    assert plan["errors_by_method"].keys() == {"minmax", "percentile", "entropy"}
    assert plan["error"] > 0
    assert plan["budget"] == 0.005
    report = (made.bundle / "report.html").read_text()
    for layer in plan["layers"]:
        assert (layer["name"] in report) != layer["int8"]


def test_int8_is_measured_like_any_precision(made: Made) -> None:
    found = edge_build("evaluate", made.bundle, made.dataset, "--precision", "int8", "--threads", 1)

    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("parts-1 int8 on parts, onnxruntime 1.")
    assert "emulated on this CPU" in found.stdout
    assert "image AUROC 100.00%" in found.stdout


def test_a_bundle_is_calibrated_again_on_pictures_from_the_line(made: Made, tmp_path: Path) -> None:
    line = write_dataset(tmp_path / "line", train=20, test=0, first=500) / "train/good"
    before = open_bundle(made.bundle)

    found = edge_build("calibrate", made.bundle, line, "--version", "1-line", "--out", tmp_path)

    assert found.returncode == 0, found.stderr
    assert found.stdout == f"{tmp_path}/parts-1-line\n"
    after = open_bundle(tmp_path / "parts-1-line")
    assert after.graph(Precision.FP32).read_bytes() == before.graph(Precision.FP32).read_bytes()
    assert after.threshold(Precision.FP32).pictures == 10  # half of them
    assert [golden.score for golden in after.manifest.golden] == [golden.score for golden in before.manifest.golden]
    listed = json.loads((after.folder / "calibration/pictures.json").read_text())["pictures"]
    assert listed
    assert all((line / picture["path"]).is_file() for picture in listed)
    assert after.manifest.figures == {}
    assert (after.manifest.dataset.threshold, after.manifest.dataset.test_good) == (10, 0)
    origin = after.manifest.recalibration
    assert (origin.bundle, origin.dataset, origin.pictures) == ("parts-1", "good", 20)
    assert origin.manifest == hashlib.sha256((made.bundle / "manifest.json").read_bytes()).hexdigest()
    assert f"threshold {before.threshold(Precision.FP32).score:.4g} before" in found.stderr
    report = (after.folder / "report.html").read_text()
    assert "parts-1 (manifest" in report
    assert "<dt>Test</dt>" not in report


def test_another_rate_needs_no_pictures_and_every_precision_gets_its_threshold(made: Made, tmp_path: Path) -> None:
    found = edge_build("calibrate", made.bundle, "--false-reject", 0.3, "--version", "1-30", "--out", tmp_path)

    assert found.returncode == 0, found.stderr
    assert found.stdout == f"{tmp_path}/parts-1-30\n"
    assert "false-reject rate 1.00% before, 30.00% now" in found.stderr
    before, after = open_bundle(made.bundle), open_bundle(tmp_path / "parts-1-30")
    assert list(after.manifest.graphs) == list(Precision)
    for precision in Precision:
        assert after.graph(precision).read_bytes() == before.graph(precision).read_bytes()
        assert after.threshold(precision).score < before.threshold(precision).score
        assert after.threshold(precision).false_reject_rate_guaranteed == pytest.approx(3 / 12)
        with emulated_engine(after.graph(precision), threads=1) as engine:
            assert replay_golden(after, engine, precision) < 0.01
    assert (after.manifest.figures, after.manifest.frames) == ({}, before.manifest.frames)


def test_pictures_that_a_bundle_learned_from_do_not_calibrate_it_in_other_files(made: Made, tmp_path: Path) -> None:
    for path in (made.dataset / "train/good").iterdir():
        cv2.imwrite(str(tmp_path / f"{path.stem}.bmp"), cv2.imread(str(path)))

    found = edge_build("calibrate", made.bundle, tmp_path, "--version", "2", "--out", tmp_path / "out")

    assert found.returncode == 1
    assert "12 of 12 pictures are among those that parts-1 learned from" in found.stderr
    assert left_in(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("good", "output"),
    [(0, "held-out pictures are NOK by the threshold of parts-1"), (30, "the golden negative of parts-1")],
)
def test_pictures_of_other_parts_do_not_calibrate_a_bundle(made: Made, tmp_path: Path, good: int, output: str) -> None:
    others = tmp_path / "line/train/good"
    others.mkdir(parents=True)
    if good:
        write_dataset(tmp_path / "line", train=good, test=0, first=500)
    for number in range(8):
        noise = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        cv2.imwrite(str(others / f"noise{number}.png"), noise)

    found = edge_build("calibrate", made.bundle, others, "--version", "2", "--out", tmp_path / "out")

    assert found.returncode == 1
    assert output in found.stderr
    assert "good parts will be rejected" not in found.stderr  # nothing is told of a threshold that nobody gets
    assert left_in(tmp_path / "out") == []


def test_a_budget_that_nothing_holds_leaves_three_fifths_of_the_work_in_int8(made: Made, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        made.recipe.read_text().replace("budget: 0.005", "budget: 1.0e-7").replace("[fp32, fp16, int8]", "[fp32, int8]")
    )

    found = edge_build("build", recipe, "--out", tmp_path / "out")

    assert found.returncode == 0, found.stderr
    bundle = open_bundle(tmp_path / "out/parts-1")
    assert list(bundle.manifest.graphs) == [Precision.FP32, Precision.INT8]
    plan = bundle.record("calibration/int8.json", Int8Plan, "a plan of INT8")
    assert 0.6 <= plan.share < 0.75
    assert plan.error > plan.budget


def test_the_summary_says_the_same_as_the_manifest(made: Made) -> None:
    manifest, summary = open_bundle(made.bundle).manifest, made.summary

    assert (summary["folder"], summary["bundle"]) == (str(made.bundle), "parts-1")
    assert (summary["bank_entries"], summary["dimensions"]) == (77, 152)  # a tenth of 12 x 64 patches
    assert summary["threshold"] == manifest.graphs[Precision.FP32].threshold.model_dump()
    assert summary["figures"] == manifest.figures[Precision.FP32].model_dump()
    assert 0 <= summary["parity_score"] <= 1e-3
    assert "11 held-out good pictures are too few for a false reject rate of 1 %" in summary["notes"][0]


def test_every_step_says_how_far_it_is(made: Made) -> None:
    steps = (
        "scan: 18/18",
        "pictures: 12/12",
        "features: 3/3",
        "coreset: 76/76",
        "INT8 ranges: ",
        "INT8 sensitivity: 33/33",
        "held-out scores 2/2: ",
        "evaluate fp32: 6/6",
        "evaluate int8: 6/6",
    )
    positions = [made.stderr.find(step) for step in steps]

    assert -1 not in positions
    assert positions == sorted(positions)
    assert "torch and onnxruntime agree within" in made.stderr


def test_the_same_recipe_and_seed_give_the_same_scores(made: Made, tmp_path: Path) -> None:
    again = edge_build("build", made.recipe, "--out", tmp_path)

    assert again.returncode == 0, again.stderr
    first, second = open_bundle(made.bundle), open_bundle(tmp_path / "parts-1")
    for precision in Precision:
        assert first.graph(precision).read_bytes() == second.graph(precision).read_bytes()
    assert first.manifest.golden == second.manifest.golden
    assert first.manifest.graphs == second.manifest.graphs
    assert first.manifest.figures == second.manifest.figures


def test_evaluation_agrees_with_the_manifest_and_names_every_picture(made: Made, measured: Path) -> None:
    summary = json.loads((measured / "evaluation.json").read_text())
    figures = open_bundle(made.bundle).manifest.figures[Precision.FP32]
    text = (measured / "evaluation.txt").read_text()

    assert summary["figures"] == figures.model_dump()
    assert text.startswith("parts-1 fp32 on parts, onnxruntime 1.")
    assert "image AUROC 100.00%   3 good, 3 defect" in text


def test_saved_scores_are_plain_arrays_of_every_test_picture(made: Made, measured: Path) -> None:
    with np.load(measured / "scores.npz", allow_pickle=False) as saved:
        arrays = dict(saved)

    assert sorted(arrays) == ["label", "map", "path", "score"]
    assert (arrays["map"].shape, arrays["map"].dtype) == ((6, SIDE, SIDE), np.float16)
    assert (arrays["score"].shape, arrays["score"].dtype) == ((6,), np.float64)
    assert all((made.dataset / path).is_file() for path in arrays["path"].tolist())
    assert arrays["label"].tolist() == [path.split("/")[1] for path in arrays["path"].tolist()]
    assert arrays["score"][arrays["label"] != "good"].min() > arrays["score"][arrays["label"] == "good"].max()
    for path, anomaly_map in zip(arrays["path"].tolist(), arrays["map"], strict=True):
        if "scratch" in path:
            mask = cv2.imread(
                str(made.dataset / path.replace("test/", "ground_truth/").replace(".png", "_mask.png")), 0
            )
            assert anomaly_map[mask > 0].mean() > anomaly_map[mask == 0].mean()


@needs_compiler
def test_every_graph_of_a_bundle_compiles_with_nvidias_compiler(made: Made) -> None:
    assert_compilable(made.bundle)


def test_init_takes_a_size_that_is_not_square(made: Made) -> None:
    assert "\nsize: [96, 64] " in edge_build("init", made.dataset, "--size", "96x64").stdout
    for size, reason in (("96x", "'96x' is no size"), ("500", "'500' does not fit")):
        refused = edge_build("init", made.dataset, "--size", size)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"Invalid value for '--size': {reason}" in refused.stderr


def test_good_pictures_alone_give_a_bundle_without_figures(made: Made, tmp_path: Path) -> None:
    """Just a folder of pictures, in a size that is not square."""
    dataset = write_dataset(tmp_path / "all", train=12, test=0) / "train/good"
    recipe = write_recipe(dataset, ("size: 64", "size: [64, 96]"), ("neighbors: 9", "neighbors: 1"), ONLY_FP32)

    found = edge_build("build", recipe, "--out", tmp_path / "out")

    assert found.returncode == 0, found.stderr
    manifest = open_bundle(tmp_path / "out/good-1").manifest
    assert (manifest.height, manifest.width) == (64, 96)
    assert manifest.figures == {}
    assert list(manifest.graphs) == [Precision.FP32]
    assert not (tmp_path / "out/good-1/calibration").exists()
    assert (manifest.dataset.train, manifest.dataset.test_good, manifest.dataset.test_defect) == (12, 0, 0)

    line = write_dataset(tmp_path / "line", train=6, test=0, first=500) / "train/good"
    again = edge_build("calibrate", tmp_path / "out/good-1", line, "--version", "2", "--out", tmp_path / "out")
    assert again.returncode == 0, again.stderr
    # without INT8 none is set aside
    assert open_bundle(tmp_path / "out/good-2").threshold(Precision.FP32).pictures == 6


def test_bad_pictures_among_the_good_are_named_and_left_out_when_asked_for(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "parts", train=30, test=0)
    for number in (5, 17):
        cv2.imwrite(str(root / f"train/good/{number:03}.png"), part(number, scratched=True)[0])
    recipe = write_recipe(root, ONLY_FP32, ("folds: 2", "folds: 4"))

    kept = edge_build("build", recipe, "--out", tmp_path / "kept")
    excluded = edge_build("build", recipe, "--out", tmp_path / "excluded", "--exclude-suspects")

    assert (kept.returncode, excluded.returncode) == (0, 0), kept.stderr + excluded.stderr
    assert "warning: 2 of 30 good pictures do not look like the others" in kept.stderr
    assert "the threshold would be" in kept.stderr
    assert "left out 2 of 30 good pictures" in excluded.stderr
    for found in (kept, excluded):
        assert all(f"good/{number:03}.png: " in found.stderr for number in (5, 17))
    before, after = open_bundle(tmp_path / "kept/parts-1"), open_bundle(tmp_path / "excluded/parts-1")
    assert (before.manifest.dataset.train, after.manifest.dataset.train) == (30, 28)
    assert after.threshold(Precision.FP32).score < before.threshold(Precision.FP32).score
    assert after.manifest.recipe.startswith("# built with --exclude-suspects\n")
    for bundle in (before, after):
        assert "Good pictures that do not look like the others" in (bundle.folder / "report.html").read_text()
