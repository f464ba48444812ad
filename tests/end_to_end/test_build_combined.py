"""The detector that `init` proposes, as processes: built, evaluated, recalibrated, at another rate, and supervised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.build_stage import Made, assert_compilable, changed_recipe, edge_build, left_in, needs_compiler
from tests.support.tiny_dataset import write_dataset

from edge_build.graphs.lint import require_compilable
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.records import Precision

QUICK = (("pool: 1600", "pool: 40"), ("steps: 600", "steps: 16"), ("entries: 3000", "entries: 100"))


@pytest.fixture(scope="module")
def combined(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("combined")
    dataset = write_dataset(place / "parts", train=20)
    recipe = changed_recipe(dataset, "combined", *QUICK)
    built = edge_build("build", recipe, "--out", place / "out", "--json", place / "summary.json")
    assert built.returncode == 0, built.stderr
    summary = json.loads((place / "summary.json").read_text())
    return Made(dataset, recipe, place / "out/parts-1", summary, built.stderr)


def test_combined_goes_the_same_way_from_init_to_evaluation(combined: Made) -> None:
    evaluated = edge_build("evaluate", combined.bundle, combined.dataset)

    assert evaluated.returncode == 0, evaluated.stderr
    assert "image AUROC 100.00%   3 good, 3 defect" in evaluated.stdout
    manifest, summary = open_bundle(combined.bundle).manifest, combined.summary
    threshold = manifest.graphs[Precision.FP32].threshold
    assert (manifest.detector, manifest.backbone) == ("combined", "efficientnet-lite0")
    assert threshold.method == "cross-fitted"  # what serves knows the held-out pictures, too
    assert (summary["bank_entries"], threshold.pictures) == (32, 8)  # a tenth of all patches
    assert set(summary["results"]) == {"fp16", "int8"}  # both were made and judged
    assert "weights: cascade " in combined.stderr
    assert "kind: " in (combined.bundle / "report.html").read_text()
    for graph in manifest.graphs:
        require_compilable(open_bundle(combined.bundle).graph(graph).read_bytes())
    assert left_in(combined.bundle.parent)[0] == "parts-1"


@needs_compiler
def test_nvidias_compiler_takes_every_precision(combined: Made) -> None:
    assert_compilable(combined.bundle)


def test_its_bundle_is_recalibrated_and_gets_another_rate(combined: Made, tmp_path: Path) -> None:
    good = write_dataset(tmp_path / "line", train=20, test=0, first=80)
    again = edge_build("calibrate", combined.bundle, good, "--version", "2", "--out", combined.bundle.parent)
    rate = edge_build(
        *("calibrate", combined.bundle, "--false-reject", "0.3", "--version", "3", "--out", combined.bundle.parent)
    )

    assert again.returncode == rate.returncode == 0, again.stderr + rate.stderr
    before, new, other = (open_bundle(combined.bundle.parent / f"parts-{n}").manifest for n in (1, 2, 3))
    assert new.detector == other.detector == "combined"
    lower = other.graphs[Precision.FP32].threshold.score
    assert lower < before.graphs[Precision.FP32].threshold.score


def test_real_defects_are_learned_from_besides_made_up_ones(combined: Made, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "parts", train=20, test=3)
    defects = tmp_path / "defects"
    for name, folder in (("pictures", "test/scratch"), ("masks", "ground_truth/scratch")):
        (defects / name).mkdir(parents=True)
        for file in sorted((dataset / folder).iterdir())[:2]:
            (defects / name / file.name.replace("_mask", "")).write_bytes(file.read_bytes())
            if name == "pictures":
                file.unlink()
    recipe = changed_recipe(
        dataset, "combined", *QUICK, ("defects: null", "defects: defects"), ("[fp32, fp16, int8]", "[fp32]")
    )

    built = edge_build("build", recipe, "--out", tmp_path / "out", "--json", tmp_path / "summary.json")

    assert built.returncode == 0, built.stderr
    notes = json.loads((tmp_path / "summary.json").read_text())["notes"]
    assert any("2 pictures of real defects" in note for note in notes)
