"""The detectors that are trained, as processes: from `init` to `evaluate`, resumed, and with real defects."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import torch
from tests.support.build_stage import (
    ONLY_FP32,
    PROGRAM,
    Made,
    assert_compilable,
    changed_recipe,
    edge_build,
    left_in,
    needs_compiler,
    refused,
)
from tests.support.made_torchvision import made_b0_state
from tests.support.tiny_dataset import write_dataset

from edge_runtime.bundle.reader import open_bundle
from edge_runtime.records import Precision


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
    output = refused(["build", other, "--out", out, "--resume"], code=78)
    assert f"edge-build: {work} cannot be resumed, because what it was begun with has changed:\n  cpr.steps: " in output
    assert "was 16, is 24\n" in output

    code, output = end_at("10", signal.SIGINT, "--resume")
    assert code == 130
    assert f"edge-build: interrupted; {work} keeps what is done (training up to step " in output
    assert output.endswith("the same command with --resume goes on from there\n")
    assert "removed" not in output
    assert "Traceback" not in output

    resumed = edge_build(*command, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "going on after step " in resumed.stderr
    whole, again = open_bundle(compared.bundle), open_bundle(out / "parts-1")
    assert whole.graph(Precision.FP32).read_bytes() == again.graph(Precision.FP32).read_bytes()
    assert whole.manifest.golden == again.manifest.golden
    assert whole.manifest.graphs == again.manifest.graphs
    assert whole.manifest.figures == again.manifest.figures
    assert left_in(out) == ["parts-1"]


def test_real_defects_that_are_also_measured_are_refused_and_others_learned_from(tmp_path: Path) -> None:
    dataset, defects = write_dataset(tmp_path / "parts", train=20), tmp_path / "defects"
    for folder, source in (("pictures", "test/scratch/200.png"), ("masks", "ground_truth/scratch/200_mask.png")):
        (defects / folder).mkdir(parents=True)
        shutil.copy(dataset / source, defects / folder)
    changes = (
        ("pool: 1600", "pool: 40"),
        ("steps: 600", "steps: 16"),
        ("defects: null", "defects: defects"),
        ONLY_FP32,
    )
    recipe = changed_recipe(dataset, "cpr-faster", *changes)

    refused = edge_build("build", recipe, "--out", tmp_path / "out")
    (dataset / "test/scratch/200.png").unlink()
    (dataset / "ground_truth/scratch/200_mask.png").unlink()
    built = edge_build("build", recipe, "--out", tmp_path / "out")

    assert refused.returncode == 78
    assert "1 pictures of defects are also in the dataset" in refused.stderr
    assert built.returncode == 0, built.stderr
    manifest = open_bundle(tmp_path / "out/parts-1").manifest
    assert (manifest.dataset.test_good, manifest.dataset.test_defect) == (3, 2)
    report = (tmp_path / "out/parts-1/report.html").read_text()
    assert "The detector learned from 1 pictures of real defects, none of which is measured here." in report
    assert "from a real defect" in report
