"""`edge-build init`, `build` and `evaluate` as processes, on a dataset of a few small pictures."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from made_torchvision import made_b0_state
from small_disk import small_disk
from tiny_dataset import SIDE, write_dataset

from edge_build.compiler_check import compile_ahead
from edge_build.exact_engine import exact_engine
from edge_build.graph_lint import require_compilable
from edge_runtime.bundle import open_bundle
from edge_runtime.golden import replay_golden
from edge_runtime.records import Precision

needs_compiler = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="needs pip install '.[trt-check]'"
)
ONLY_FP32 = ("precisions: [fp32, fp16, int8]", "precisions: [fp32]")
PROGRAM = (sys.executable, "-c", "from edge_build.cli import main; main()")


def edge_build(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    # one thread: these pictures are too small for more, and tests may run side by side
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | (env or {})
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=900, env=environment
    )


def write_recipe(dataset: Path, *changes: tuple[str, str]) -> Path:
    """What `init` prints, for two folds, with other changes of its text."""
    return changed_recipe(dataset, "patchcore", ("folds: 10", "folds: 2"), ("ratio: 0.01", "ratio: 0.1"), *changes)


def changed_recipe(dataset: Path, detector: str, *changes: tuple[str, str]) -> Path:
    found = edge_build("init", dataset, "--detector", detector)
    assert found.returncode == 0, found.stderr
    text = found.stdout
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    recipe = dataset.parent / "recipe.yaml"
    recipe.write_text(text)
    return recipe


@dataclass(frozen=True)
class Made:
    """A dataset, its recipe, and what building it gave."""

    dataset: Path
    recipe: Path
    bundle: Path
    summary: dict
    stderr: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("made")
    dataset = write_dataset(place / "parts")
    recipe = write_recipe(dataset)
    found = edge_build("build", recipe, "--out", place / "out", "--json", place / "summary.json")
    assert found.returncode == 0, found.stderr
    assert found.stdout == f"{place}/out/parts-1\n"
    return Made(dataset, recipe, place / "out/parts-1", json.loads((place / "summary.json").read_text()), found.stderr)


@pytest.fixture(scope="module")
def measured(made: Made) -> Path:
    """The folder with what `evaluate` wrote: its output, summary and scores."""
    place = made.dataset.parent
    written = ("--json", place / "evaluation.json", "--save-scores", place / "scores.npz")
    found = edge_build("evaluate", made.bundle, made.dataset, "--threads", 1, *written)
    assert found.returncode == 0, found.stderr
    (place / "evaluation.txt").write_text(found.stdout)
    return place


def assert_compilable(folder: Path) -> None:
    """By our own lint and by NVIDIA's compiler, in whatever precisions the bundle has."""
    bundle = open_bundle(folder)
    for precision in bundle.manifest.graphs:
        graph = bundle.graph(precision).read_bytes()
        require_compilable(graph)
        assert compile_ahead(graph).layers > 100, precision


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_bundle_has_its_files_and_opens(made: Made) -> None:
    files = {p.relative_to(made.bundle).as_posix() for p in made.bundle.rglob("*") if p.is_file()}

    assert files == {
        "manifest.json", "model.fp32.onnx", "model.fp16.onnx", "model.int8.onnx", "report.html",
        "calibration/pictures.json", "calibration/int8.json", "calibration/entropy2.cache", "calibration/minmax.cache",
        *(f"golden/{n}{kind}" for n in ("00", "01") for kind in (".png", ".npy", ".fp16.npy", ".int8.npy")),
    }  # fmt: skip
    assert left_in(made.bundle.parent) == ["parts-1"]
    open_bundle(made.bundle)


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
        assert entry.gate.verdicts_changed == 0
        assert entry.gate.pictures > 40  # 11 good ones, and up to four with a defect of each
        assert (figures.good, figures.defect) == (3, 3)
        with exact_engine(bundle.graph(precision), threads=1) as engine:
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
    assert 0 < plan["error"] <= plan["budget"] == 0.01
    report = (made.bundle / "report.html").read_text()
    for layer in plan["layers"]:
        assert (layer["name"] in report) != layer["int8"]


def test_int8_is_measured_like_any_precision(made: Made) -> None:
    found = edge_build("evaluate", made.bundle, made.dataset, "--precision", "int8", "--threads", 1)

    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("parts-1 int8 on parts, onnxruntime 1.")
    assert "imitated on this CPU" in found.stdout
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
    assert (after.folder / "report.html").exists()


def test_a_version_that_cannot_be_is_refused_before_anything_is_done(made: Made, tmp_path: Path) -> None:
    said = refused(["calibrate", made.bundle, made.dataset, "--version", "a b", "--out", tmp_path / "out"], code=78)
    assert "--version 'a b': 1 to 20 letters" in said
    assert not (tmp_path / "out").exists()


def test_a_precision_that_fails_the_gate_stays_out_and_the_rest_is_built(made: Made, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        made.recipe.read_text().replace("budget: 0.01", "budget: 1.0e-7").replace("[fp32, fp16, int8]", "[fp32, int8]")
    )

    found = edge_build("build", recipe, "--out", tmp_path / "out")

    assert found.returncode == 0, found.stderr
    assert "INT8 is not in the bundle: with any convolution in INT8 the map error exceeds the budget" in found.stderr
    assert list(open_bundle(tmp_path / "out/parts-1").manifest.graphs) == [Precision.FP32]


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


def test_an_existing_bundle_is_refused_at_once_and_kept(made: Made) -> None:
    before = (made.bundle / "manifest.json").read_bytes()

    found = edge_build("build", made.recipe, "--out", made.bundle.parent)

    assert found.returncode == 78
    assert found.stderr == (
        f"edge-build: {made.bundle} exists: raise `version` in the recipe, or move the old bundle away\n"
    )
    assert (made.bundle / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("number", "after"), [(signal.SIGINT, "features: "), (signal.SIGTERM, "held-out scores 1/2: ")], ids=["INT", "TERM"]
)
def test_a_build_that_is_ended_in_the_middle_leaves_nothing(
    made: Made, tmp_path: Path, number: signal.Signals, after: str
) -> None:
    out, summary = tmp_path / "out", tmp_path / "summary.json"
    arguments = [*PROGRAM, "build", made.recipe, "--out", out, "--json", summary]
    with subprocess.Popen(
        arguments, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as process:
        assert process.stderr is not None
        said = [next(line for line in process.stderr if line.startswith(after))]
        process.send_signal(number)
        said += process.stderr
        process.wait(60)

    assert process.returncode == 130
    assert "Traceback" not in "".join(said)
    assert said[-1] == "edge-build: interrupted; what was half-written is removed\n"
    assert left_in(out) == []
    assert left_in(tmp_path) == ["out"]


@needs_compiler
def test_every_graph_of_a_bundle_compiles_with_nvidias_compiler(made: Made) -> None:
    assert_compilable(made.bundle)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("compared")
    dataset = write_dataset(place / "parts", train=20)
    recipe = changed_recipe(dataset, "cpr-faster", ("pool: 1600", "pool: 40"), ("steps: 600", "steps: 16"))
    built = edge_build("build", recipe, "--out", place / "out", "--json", place / "summary.json")
    assert built.returncode == 0, built.stderr
    summary = json.loads((place / "summary.json").read_text())
    return Made(dataset, recipe, place / "out/parts-1", summary, built.stderr)


def test_cpr_faster_goes_the_same_way_from_init_to_evaluation(compared: Made) -> None:
    evaluated = edge_build("evaluate", compared.bundle, compared.dataset)

    assert evaluated.returncode == 0, evaluated.stderr
    assert "image AUROC 100.00%   3 good, 3 defect" in evaluated.stdout
    manifest, summary = open_bundle(compared.bundle).manifest, compared.summary
    threshold = manifest.graphs[Precision.FP32].threshold
    assert (manifest.detector, manifest.backbone) == ("cpr-faster", "efficientnet-lite0")
    assert threshold.method == "cross-fitted"  # of the references: what serves knows the held-out pictures, too
    assert (summary["bank_entries"], summary["dimensions"], threshold.pictures) == (20, 16, 4)
    assert summary["notes"][0].startswith("kind: ")
    assert "kind: " in (compared.bundle / "report.html").read_text()
    if needs_compiler.args[0] is False:
        assert_compilable(compared.bundle)
    assert left_in(compared.bundle.parent) == ["parts-1"]


def test_cpr_fast_with_a_network_from_a_checkpoint_file(tmp_path: Path) -> None:
    dataset, weights = write_dataset(tmp_path / "parts", train=20, test=0), tmp_path / "b0.pth"
    torch.save(made_b0_state(), weights)
    chosen = (
        ("backbone: efficientnet-lite0", "backbone: efficientnet-b0"),
        ("backbone_weights: null", "backbone_weights: b0.pth"),
        ("taps: null", "taps: [2, 3]"),  # as far as the made-up weights go
        ONLY_FP32,
    )
    recipe = changed_recipe(dataset, "cpr-fast", ("pool: 1600", "pool: 20"), ("steps: 600", "steps: 8"), *chosen)

    built = edge_build("build", recipe, "--out", tmp_path, "--json", tmp_path / "summary.json")

    assert built.returncode == 0, built.stderr
    manifest, summary = open_bundle(tmp_path / "parts-1").manifest, json.loads((tmp_path / "summary.json").read_text())
    assert (manifest.detector, manifest.backbone, summary["dimensions"]) == ("cpr-fast", "efficientnet-b0", 64)
    assert f"weights b0.pth sha256 {hashlib.sha256(weights.read_bytes()).hexdigest()})" in manifest.builder
    weights.unlink()
    again = edge_build("build", recipe, "--out", tmp_path / "again")
    assert (again.returncode, left_in(tmp_path / "again")) == (78, [])
    assert f"the weights of efficientnet-b0 cannot be read: {weights}: No such file or directory; set" in again.stderr


def test_a_build_that_is_killed_and_interrupted_goes_on_to_the_same_bundle(compared: Made, tmp_path: Path) -> None:
    out, work = tmp_path / "out", tmp_path / "out/parts-1.unfinished"
    command = ["build", compared.recipe, "--out", out]

    def end_at(step: str, number: signal.Signals, *more: str) -> tuple[int, str]:
        "What a build said after a signal in the round that follows a step."
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        arguments = [*PROGRAM, *map(str, command), *more]
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stderr is not None
            assert any(line.startswith(f"step {step}: ") for line in process.stderr)
            process.send_signal(number)
            return process.wait(600), process.stderr.read()

    assert end_at("4", signal.SIGKILL)[0] == -signal.SIGKILL
    assert left_in(out) == ["parts-1.unfinished"]

    other = tmp_path / "other.yaml"
    other.write_text(compared.recipe.read_text().replace("steps: 16", "steps: 24"))
    said = refused(["build", other, "--out", out, "--resume"], code=78)
    assert f"edge-build: {work} cannot be resumed, because what it was begun with has changed:\n  cpr.steps: " in said
    assert "was 16, is 24\n" in said

    code, said = end_at("10", signal.SIGINT, "--resume")
    assert code == 130
    assert f"{work} keeps what is done (training up to step " in said
    assert "the same command with --resume goes on from there\n" in said
    assert said.endswith("edge-build: interrupted; what was half-written is removed\n")
    assert "Traceback" not in said

    resumed = edge_build(*command, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "going on after step " in resumed.stderr
    whole, again = open_bundle(compared.bundle), open_bundle(out / "parts-1")
    assert whole.graph(Precision.FP32).read_bytes() == again.graph(Precision.FP32).read_bytes()
    assert whole.manifest.golden == again.manifest.golden
    assert whole.manifest.graphs == again.manifest.graphs
    assert whole.manifest.figures == again.manifest.figures
    assert left_in(out) == ["parts-1"]


def test_real_defects_that_are_also_measured_are_refused_and_others_taught(tmp_path: Path) -> None:
    dataset, defects = write_dataset(tmp_path / "parts", train=20), tmp_path / "defects"
    for folder, source in (("pictures", "test/scratch/200.png"), ("masks", "ground_truth/scratch/200_mask.png")):
        (defects / folder).mkdir(parents=True)
        shutil.copy(dataset / source, defects / folder)
    changes = (("pool: 1600", "pool: 40"), ("steps: 600", "steps: 16"), ("defects: null", "defects: defects"))
    recipe = changed_recipe(dataset, "cpr-faster", *changes)

    refused = edge_build("build", recipe, "--out", tmp_path / "out")
    (dataset / "test/scratch/200.png").unlink()
    (dataset / "ground_truth/scratch/200_mask.png").unlink()
    taught = edge_build("build", recipe, "--out", tmp_path / "out")

    assert refused.returncode == 78
    assert "1 pictures of defects are also in the dataset" in refused.stderr
    assert taught.returncode == 0, taught.stderr
    manifest = open_bundle(tmp_path / "out/parts-1").manifest
    assert (manifest.dataset.test_good, manifest.dataset.test_defect) == (3, 2)
    report = (tmp_path / "out/parts-1/report.html").read_text()
    assert "The detector learned from 1 pictures of real defects, none of which is measured here." in report
    assert "from a real defect" in report


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


def test_a_recipe_with_several_mistakes_is_refused_with_all_of_them(made: Made, tmp_path: Path) -> None:
    text = made.recipe.read_text()
    for old, new in (("size: 64", "size: 70"), ("seed: 0", "seed: many"), ("neighbors:", "neighbours:")):
        text = text.replace(old, new)
    (tmp_path / "wrong.yaml").write_text(text)

    found = edge_build("build", tmp_path / "wrong.yaml", "--out", tmp_path / "out")

    assert found.returncode == 78
    assert f"edge-build: {tmp_path}/wrong.yaml cannot be followed, 3 problems:" in found.stderr
    for place in ("size", "seed", "neighbours"):
        assert place in found.stderr
    assert left_in(tmp_path) == ["wrong.yaml"]


def refused(arguments: list[object], code: int = 1) -> str:
    found = edge_build(*arguments)
    assert found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr
    return found.stderr


def test_a_corrupt_picture_is_named(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.dataset, tmp_path / "parts")
    picture = tmp_path / "parts/train/good/003.png"
    picture.write_bytes(picture.read_bytes()[:500])

    said = refused(["init", tmp_path / "parts"])

    assert "edge-build: 1 of 18 pictures cannot be used:" in said
    assert str(picture) in said


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert f"edge-build: {tmp_path} has no good pictures, at least 4 are needed" in refused(["init", tmp_path])


def test_a_single_picture_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=1, test=0)

    assert f"edge-build: {tmp_path}/train/good has 1 good picture, at least 4 are needed" in refused(["init", tmp_path])


def test_a_picture_to_learn_from_that_is_measured_too_is_refused(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.dataset, tmp_path / "parts")
    shutil.copy(tmp_path / "parts/train/good/000.png", tmp_path / "parts/test/good/999.png")

    said = refused(["init", tmp_path / "parts"])

    assert "edge-build: 1 test pictures are among those to learn from, so figures would be too good:" in said
    assert "test/good/999.png is the same picture as " in said


def test_a_full_disk_leaves_no_half_bundle(made: Made, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1000) as disk:
        said = refused(["build", made.recipe, "--out", disk / "out"], code=74)
        assert left_in(disk / "out") == []

    assert f"edge-build: the bundle cannot be written to {disk}/out: No space left on device; nothing was left" in said


def test_a_bundle_that_was_changed_is_not_measured(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.bundle, tmp_path / "bundle")
    graph = tmp_path / "bundle/model.fp32.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])

    assert f"edge-build: {graph} has " in refused(["evaluate", tmp_path / "bundle", made.dataset], code=78)


def test_scores_that_cannot_be_written_are_an_error(made: Made, tmp_path: Path) -> None:
    arguments = ["evaluate", made.bundle, made.dataset, "--save-scores", tmp_path / "none/scores.npz"]

    assert f"edge-build: {tmp_path}/none/scores.npz cannot be written: No such file" in refused(arguments, code=74)


def test_without_the_host_packages_the_command_says_what_to_install(tmp_path: Path) -> None:
    recipe = write_recipe(write_dataset(tmp_path / "disc", test=0))
    without_torch = "import sys; sys.modules['torch'] = None; from edge_build.cli import main; main()"
    command = [sys.executable, "-c", without_torch, "build", str(recipe), "--out", str(tmp_path / "bundles")]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 78
    assert done.stderr.endswith("edge-build: torch is not installed: pip install '.[host]' on the workstation\n")
