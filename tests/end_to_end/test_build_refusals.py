"""What `edge-build` refuses, and that it leaves nothing half-written."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from tests.support.build_stage import PROGRAM, Made, edge_build, left_in, refused, write_recipe
from tests.support.small_disk import small_disk
from tests.support.tiny_dataset import part, write_dataset


def test_a_version_that_cannot_be_is_refused_before_anything_is_done(made: Made, tmp_path: Path) -> None:
    output = refused(["calibrate", made.bundle, made.dataset, "--version", "a b", "--out", tmp_path / "out"], code=78)
    assert "--version 'a b': 1 to 20 letters" in output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "Invalid value for 'PICTURES': give pictures, another rate (--false-reject), or both"),
        (["--false-reject", "5"], "Invalid value for '--false-reject': "),
    ],
)
def test_a_calibration_of_nothing_or_to_no_rate_is_wrong_use(made: Made, options: list[str], reason: str) -> None:
    output = refused(["calibrate", made.bundle, "--version", 2, "--out", made.bundle.parent, *options], code=2)
    assert reason in " ".join(output.replace("│", " ").split())


def test_a_calibrated_bundle_that_exists_is_refused_with_what_names_it_again(made: Made) -> None:
    output = refused(["calibrate", made.bundle, made.dataset, "--version", 1, "--out", made.bundle.parent], code=78)
    assert output == f"edge-build: {made.bundle} exists: give another --version, or move the old bundle away\n"


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
        output = [next(line for line in process.stderr if line.startswith(after))]
        process.send_signal(number)
        output += process.stderr
        process.wait(60)

    assert process.returncode == 130
    assert "Traceback" not in "".join(output)
    assert output[-1] == "edge-build: interrupted; what was half-written is removed\n"
    assert left_in(out) == []
    assert left_in(tmp_path) == ["out"]


def test_a_recipe_with_several_mistakes_is_refused_with_all_of_them(made: Made, tmp_path: Path) -> None:
    text = re.sub(r"^size: \d+", "size: 70", made.recipe.read_text(), flags=re.MULTILINE)
    for old, new in (("seed: 0", "seed: many"), ("neighbors:", "neighbours:")):
        text = text.replace(old, new)
    (tmp_path / "wrong.yaml").write_text(text)

    found = edge_build("build", tmp_path / "wrong.yaml", "--out", tmp_path / "out")

    assert found.returncode == 78
    assert f"edge-build: {tmp_path}/wrong.yaml does not describe a recipe:" in found.stderr
    for place in ("size", "seed", "neighbours"):
        assert place in found.stderr
    assert left_in(tmp_path) == ["wrong.yaml"]


def test_a_corrupt_picture_is_named(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.dataset, tmp_path / "parts")
    picture = tmp_path / "parts/train/good/003.png"
    picture.write_bytes(picture.read_bytes()[:500])

    output = refused(["init", tmp_path / "parts"])

    assert "edge-build: 1 of 18 pictures cannot be used:" in output
    assert str(picture) in output


def test_a_good_picture_of_another_shape_is_refused_before_anything_is_learned(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "parts", test=0)
    cut = dataset / "train/good/003.png"
    cv2.imwrite(str(cut), part(3)[0][:, :40])
    recipe = write_recipe(dataset)

    output = refused(["build", recipe, "--out", tmp_path / "out"])

    assert "edge-build: 1 of 12 good pictures have another shape than the others, which are usually 64 x 64" in output
    assert f"{cut}: 40 x 64 pixels, width / height 0.625" in output
    assert left_in(tmp_path / "out") == []


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert f"edge-build: {tmp_path} has no good pictures, at least 4 are needed" in refused(["init", tmp_path])


def test_a_single_picture_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=1, test=0)

    assert f"edge-build: {tmp_path}/train/good has 1 good picture, at least 4 are needed" in refused(["init", tmp_path])


def test_a_picture_to_learn_from_that_is_measured_too_is_refused(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.dataset, tmp_path / "parts")
    shutil.copy(tmp_path / "parts/train/good/000.png", tmp_path / "parts/test/good/999.png")

    output = refused(["init", tmp_path / "parts"])

    assert "edge-build: 1 test pictures are among those to learn from, so figures would be too good:" in output
    assert "test/good/999.png is the same picture as " in output


def test_a_full_disk_leaves_no_half_bundle(made: Made, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1000) as disk:
        output = refused(["build", made.recipe, "--out", disk / "out"], code=74)
        assert left_in(disk / "out") == []

    assert f"edge-build: the bundle cannot be written to {disk}/out: No space left on device; nothing" in output


def test_a_bundle_that_was_changed_is_not_measured(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.bundle, tmp_path / "bundle")
    graph = tmp_path / "bundle/model.fp32.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])

    assert f"edge-build: {graph} has " in refused(["evaluate", tmp_path / "bundle", made.dataset], code=78)


def test_an_evaluation_that_judged_nothing_is_no_success(made: Made, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "turned", first=900)
    for path in [*dataset.glob("t*/*/*.png"), *dataset.glob("ground_truth/*/*.png")]:
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:, :50])

    found = edge_build("evaluate", made.bundle, dataset, "--json", tmp_path / "summary.json")

    assert found.returncode == 1
    assert "NOTHING WAS JUDGED: all 6 pictures are beyond" in found.stdout
    assert f"edge-build: nothing was judged: all pictures of {dataset} are beyond the limits of frames" in found.stderr
    assert len(json.loads((tmp_path / "summary.json").read_text())["errors"]) == 6


def test_scores_that_cannot_be_written_are_an_error(made: Made, tmp_path: Path) -> None:
    arguments = ["evaluate", made.bundle, made.dataset, "--save-scores", tmp_path / "none/scores.npz"]

    assert f"edge-build: {tmp_path}/none/scores.npz: No such file or directory; check" in refused(arguments, code=74)


def test_without_the_host_packages_the_command_says_what_to_install(tmp_path: Path) -> None:
    recipe = write_recipe(write_dataset(tmp_path / "disc", test=0))
    without_torch = "import sys; sys.modules['torch'] = None; from edge_build.cli import main; main()"
    command = [sys.executable, "-c", without_torch, "build", str(recipe), "--out", str(tmp_path / "bundles")]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 78
    assert done.stderr.endswith("edge-build: torch is not installed: pip install '.[host]' on the workstation\n")
